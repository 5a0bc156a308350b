// Short notes at the edge of the page, read out by screen readers.

import { h } from "./dom.js";
import { icon } from "./icons.js";

const STAYS_MS = 6000;

/** Says something; a failure stays until it is closed. */
export function say(text, { failed = false } = {}) {
  const place = document.querySelector("ns-toasts");
  const toast = h(
    "div",
    { class: failed ? "toast fail" : "toast" },
    h("span", {}, text),
    h(
      "button",
      { class: "quiet icon-button", "aria-label": "Close", onclick: () => toast.remove() },
      icon("close"),
    ),
  );
  place.append(toast);
  if (!failed) setTimeout(() => toast.remove(), STAYS_MS);
}
