// The paper's three pictures side by side: original, heat map, overlay. Each sets the large one.

import { h, replace } from "../core/dom.js";
import { METHODS } from "../core/words.js";

export function strip(viewer, scan) {
  const frames = {
    original: frame("Original"),
    map: frame("Heat map"),
    overlay: frame("Overlay"),
  };
  const element = h("div", { class: "strip", role: "group", "aria-label": "The three pictures" });
  const press = (chosen) => {
    for (const [name, { button }] of Object.entries(frames)) {
      button.setAttribute("aria-pressed", String(name === chosen));
    }
  };
  for (const [name, { button }] of Object.entries(frames)) {
    button.addEventListener("click", () => {
      viewer.setView(name);
      press(name);
    });
    element.append(button);
  }
  const show = (explanation) => {
    picture(frames.map, explanation.images.heatmap, `${METHODS[explanation.method]} heat map`);
    picture(frames.overlay, explanation.images.overlay, "Overlay with outlines");
    frames.map.caption.textContent = METHODS[explanation.method];
  };
  picture(frames.original, scan.links.slice, "Original slice");
  press("overlay");
  viewer.addEventListener("explanation", (event) => show(event.detail));
  return element;
}

function frame(words) {
  const place = h("span", { class: "frame" }, h("span", { class: "coming" }, "not there yet"));
  const caption = h("span", { class: "caption" }, words);
  const button = h("button", { type: "button" }, place, caption);
  return { place, caption, button };
}

function picture({ place }, src, alt) {
  replace(place, h("img", { src, alt }));
}
