// The text on the picture: zoom, window, value under the pointer, sides, scale. All of it can go.

import { h, replace, setText } from "../core/dom.js";
import { opposite, sidesKnown } from "../core/words.js";
import { BAR_ROOM, scaleBar, scaleWords } from "./ruler.js";

export class PictureText {
  #view = h("div", { class: "corner top-left" });
  #value = h("div", { class: "corner bottom-left" });
  #barWords = h("span");
  #bar = h("i", { class: "scale-bar" });
  #scaleNote = h("span", { class: "note" });
  #sides = h("div", { class: "sides" });

  constructor() {
    this.element = h(
      "div",
      { class: "picture-text", "aria-hidden": "true" },
      this.#view,
      this.#value,
      h("div", { class: "corner bottom-right" }, this.#scaleNote, this.#barWords, this.#bar),
      this.#sides,
    );
  }

  /** The directions at the picture's edges, or that they are not known. */
  showSides(geometry) {
    if (!sidesKnown(geometry)) {
      replace(this.#sides, h("span", { class: "unknown" }, "side unknown"));
      return;
    }
    const { image_right: right, image_bottom: bottom } = geometry.orientation;
    replace(
      this.#sides,
      h("span", { class: "left" }, opposite(right)),
      h("span", { class: "right" }, right),
      bottom && h("span", { class: "top" }, opposite(bottom)),
      bottom && h("span", { class: "bottom" }, bottom),
    );
  }

  showView(zoom, { level, width }, placement, geometry) {
    setText(this.#view, `Zoom ${zoom.toFixed(1)}×\nW ${Math.round(width)}  L ${Math.round(level)}`);
    const bar = scaleBar(geometry, placement.scale, BAR_ROOM);
    setText(this.#barWords, bar.words);
    this.#bar.style.width = `${bar.width}px`;
    setText(this.#scaleNote, scaleWords(geometry));
  }

  showValue(point, value) {
    if (value === null) setText(this.#value, "");
    else setText(this.#value, `x ${Math.floor(point[0])}  y ${Math.floor(point[1])}\nvalue ${value}`);
  }
}
