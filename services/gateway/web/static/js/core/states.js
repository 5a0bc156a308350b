// How empty, waiting and failed things look, the same everywhere.

import { words } from "./api.js";
import { h, workButton } from "./dom.js";
import { icon } from "./icons.js";

/** Nothing here yet, and what to do about it. */
export function empty(title, text, ...actions) {
  return h("div", { class: "empty" }, h("strong", {}, title), h("p", {}, text), ...actions);
}

/** Something failed: what happened, what to do. */
export function failure(title, text, ...actions) {
  return h(
    "div",
    { class: "message fail", role: "alert" },
    icon("failed"),
    h("div", {}, h("strong", {}, title), text, actions.length > 0 && h("div", { class: "row" }, actions)),
  );
}

/** An error as a message, with another try where there is one. */
export function failureOf(error, retry) {
  const again = retry ? [workButton("Try again", retry)] : [];
  const title = error.title ?? "This did not work.";
  const text = words(error);
  return failure(title, text === title ? "" : text, ...again);
}

/** Gray bars of the size of what is to come. */
export function waiting(...heights) {
  return h(
    "div",
    { class: "stack", "aria-busy": "true" },
    h("span", { class: "visually-hidden" }, "Loading"),
    heights.map((height) => {
      const bar = h("div", { class: "skeleton" });
      bar.style.height = `${height}px`;
      return bar;
    }),
  );
}
