// The viewer's keys, and the sheet that lists them.

import { openDialog } from "../core/dialog.js";
import { h } from "../core/dom.js";

const SHEET = [
  ["W", "Window and level: drag, or arrow keys"],
  ["P", "Pan: drag, or arrow keys"],
  ["R", "Ruler: drag; or arrow keys move a cross, Enter sets a point"],
  ["Esc", "Remove the lines of the ruler"],
  ["+ −", "Zoom"],
  ["0", "Whole picture"],
  ["N", "Window and level as stored"],
  ["H", "Heat map on or off"],
  ["[ ]", "Heat map weaker, stronger"],
  ["M", "Outline of the map on or off"],
  ["S", "Outline of the segmentation on or off"],
  ["I", "Text on the picture on or off"],
  ["1 2 3", "HiRes-CAM, Grad-CAM, Grad-CAM++"],
  ["D", "Save this view as a PNG"],
  ["?", "This sheet"],
];

export function openHelp() {
  return openDialog("Keys and gestures", (close) => [
    h(
      "p",
      { class: "muted small" },
      "Keys work while the picture has the focus. Click it or reach it with Tab. The wheel zooms then; the right mouse button or Shift pans; two fingers zoom and pan.",
    ),
    h(
      "dl",
      { class: "keys" },
      SHEET.map(([keys, text]) => [
        h("dt", {}, keys.split(" ").map((key) => h("kbd", {}, key))),
        h("dd", {}, text),
      ]),
    ),
    h("div", { class: "row" }, h("button", { type: "button", onclick: () => close() }, "Close")),
  ]);
}

/** Does what a key says; true when it meant something. */
export function act(event, viewer) {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const arrow = ARROWS[event.key];
  if (arrow) {
    viewer.arrow(...arrow, event.shiftKey);
    return true;
  }
  const deed = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
  if (!deed) return false;
  deed(viewer);
  return true;
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const KEYS = {
  w: (viewer) => viewer.setTool("window"),
  p: (viewer) => viewer.setTool("pan"),
  r: (viewer) => viewer.setTool("ruler"),
  Enter: (viewer) => viewer.setPoint(),
  Escape: (viewer) => viewer.clearLines(),
  "+": (viewer) => viewer.state.zoomBy(1.25),
  "=": (viewer) => viewer.state.zoomBy(1.25),
  "-": (viewer) => viewer.state.zoomBy(0.8),
  0: (viewer) => viewer.state.fit(),
  n: (viewer) => viewer.resetWindow(),
  h: (viewer) => viewer.toggleHeat(),
  "[": (viewer) => viewer.setOpacity(viewer.opacity - 0.1),
  "]": (viewer) => viewer.setOpacity(viewer.opacity + 0.1),
  m: (viewer) => viewer.toggle("showMap"),
  s: (viewer) => viewer.toggle("showSegmentation"),
  i: (viewer) => viewer.toggle("showText"),
  1: (viewer) => viewer.chooseMethod("hirescam"),
  2: (viewer) => viewer.chooseMethod("gradcam"),
  3: (viewer) => viewer.chooseMethod("gradcam++"),
  d: (viewer) => viewer.save(),
  "?": () => openHelp(),
};
