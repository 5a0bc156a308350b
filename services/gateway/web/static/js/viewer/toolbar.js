// The viewer's buttons. Each shows what is on; every one has a key, too.

import { h, replace } from "../core/dom.js";
import { icon } from "../core/icons.js";
import { METHODS } from "../core/words.js";
import { openHelp } from "./shortcuts.js";

const TOOLS = { window: "Window and level", pan: "Pan", ruler: "Ruler" };

/** The bar over the picture, with `show(viewer)` that puts the viewer's state on it. */
export function toolbar(viewer, { withMethods }) {
  const methods = segments("Method of the heat map", Object.entries(METHODS), (method) =>
    viewer.chooseMethod(method),
  );
  const tools = segments(
    "What dragging does",
    Object.entries(TOOLS).map(([name, words]) => [name, icon(name), words]),
    (tool) => viewer.setTool(tool),
  );
  const opacity = h("input", {
    type: "range",
    min: "0",
    max: "100",
    step: "5",
    "aria-label": "Strength of the heat map",
    oninput: () => viewer.setOpacity(opacity.value / 100),
  });
  const map = toggle("Map", "swatch map", () => viewer.toggle("showMap"));
  const segmentation = toggle("Segmentation", "swatch segmentation", () => viewer.toggle("showSegmentation"));
  const text = toggle("Text", null, () => viewer.toggle("showText"));
  const element = h(
    "div",
    { class: "viewer-bar", role: "toolbar", "aria-label": "Viewer" },
    withMethods && methods.element,
    tools.element,
    h("label", { class: "opacity" }, h("span", {}, "Heat map"), opacity),
    h("div", { class: "row outlines" }, map, segmentation, text),
    h(
      "div",
      { class: "row push" },
      button("minus", "Smaller", () => viewer.state.zoomBy(0.8)),
      button("plus", "Larger", () => viewer.state.zoomBy(1.25)),
      button("fit", "Whole picture, window as stored", () => viewer.reset()),
      button("save", "Save this view as a PNG", () => viewer.save()),
      button("help", "Keys and gestures", openHelp),
    ),
  );
  const show = () => {
    methods.press(viewer.method, !viewer.explained || viewer.loading);
    tools.press(viewer.tool, false);
    opacity.value = String(Math.round(viewer.opacity * 100));
    opacity.disabled = !viewer.explained;
    press(map, viewer.showMap, !viewer.regions?.map);
    press(segmentation, viewer.showSegmentation, !viewer.regions?.segmentation);
    press(text, viewer.showText, false);
  };
  return { element, show };
}

function segments(label, options, act) {
  const buttons = new Map(
    options.map(([name, content, words]) => [
      name,
      h("button", { type: "button", title: words, "aria-label": words, onclick: () => act(name) }, content),
    ]),
  );
  return {
    element: h("div", { class: "segments", role: "group", "aria-label": label }, [...buttons.values()]),
    press: (current, disabled) => {
      for (const [name, each] of buttons) {
        each.setAttribute("aria-pressed", String(name === current));
        each.setAttribute("aria-disabled", String(disabled));
      }
    },
  };
}

function toggle(words, swatch, act) {
  const box = h("input", { type: "checkbox", onchange: act });
  return h("label", { class: "toggle" }, box, swatch && h("i", { class: swatch }), words);
}

function press(label, on, disabled) {
  const box = label.querySelector("input");
  box.checked = on && !disabled;
  box.disabled = disabled;
}

function button(sign, words, act) {
  return h("button", { class: "quiet icon-button", type: "button", title: words, "aria-label": words, onclick: act }, icon(sign));
}

/** What the colors and lines mean, below the picture. */
export function legend() {
  const element = h("div", { class: "legend" });
  const show = (viewer) => {
    const explanation = viewer.explanation;
    if (viewer.trouble) return replace(element, h("span", { class: "bad" }, viewer.trouble));
    if (viewer.loading) return replace(element, h("span", { role: "status" }, `Making the ${METHODS[viewer.method]} map …`));
    if (!explanation) return replace(element, h("span", {}, viewer.waitingWords));
    return replace(element, ...legendOf(viewer, explanation));
  };
  return { element, show };
}

function legendOf(viewer, explanation) {
  if (!explanation.positive_evidence) {
    return [h("span", {}, `No evidence for ${viewer.targetWords} was found, so the map is empty.`)];
  }
  return [
    h(
      "span",
      { class: "colorbar" },
      "no evidence",
      h("i", { role: "img", "aria-label": "Colors from black through red to light yellow" }),
      `strongest evidence for ${viewer.targetWords}`,
    ),
    viewer.regions?.map && h("span", {}, h("i", { class: "swatch map" }), "outline of the map"),
    viewer.regions?.segmentation && h("span", {}, h("i", { class: "swatch segmentation" }), "outline of the segmentation"),
  ];
}
