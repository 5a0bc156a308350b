// The paper's three pictures side by side: original, heat map, overlay. Each sets the large one.

import { h, replace, setText } from "../core/dom.js";
import { isFinal, METHODS } from "../core/words.js";

/** The strip, with `update(scan)` at each change of the scan. */
export function strip(viewer, scan) {
  const frames = {
    original: frame("Original"),
    map: frame("Heat map"),
    overlay: frame("Overlay"),
  };
  const element = h("div", { class: "strip", role: "group", "aria-label": "The three pictures" });
  const press = () => {
    for (const [name, { button }] of Object.entries(frames)) {
      button.setAttribute("aria-pressed", String(name === viewer.view));
    }
  };
  for (const [name, { button }] of Object.entries(frames)) {
    button.addEventListener("click", () => viewer.setView(name));
    element.append(button);
  }
  const show = (explanation) => {
    picture(frames.map, explanation.images.heatmap, `${METHODS[explanation.method]} heat map`);
    picture(frames.overlay, explanation.images.overlay, "Overlay with outlines");
    frames.map.caption.textContent = METHODS[explanation.method];
  };
  picture(frames.original, scan.links.slice, "Original slice");
  press();
  viewer.addEventListener("view", press);
  viewer.addEventListener("explanation", (event) => show(event.detail));
  const update = (now) => {
    const text = isFinal(now.state) && !now.explanation ? "not made" : "not there yet";
    for (const { coming } of Object.values(frames)) setText(coming, text);
  };
  return { element, update };
}

function frame(words) {
  const coming = h("span", { class: "coming" });
  const place = h("span", { class: "frame" }, coming);
  const caption = h("span", { class: "caption" }, words);
  const button = h("button", { type: "button" }, place, caption);
  return { place, coming, caption, button };
}

function picture({ place }, src, alt) {
  replace(place, h("img", { src, alt }));
}
