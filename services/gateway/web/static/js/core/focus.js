// Where the focus goes when what had it goes away.

import { replace } from "./dom.js";

/** To the heading of what is shown now. */
export function focusHeading(main) {
  const heading = main.querySelector("h1") ?? main;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** Puts a page's content in the place of what waited there; a focus that was in it goes to the heading. */
export function renew(main, ...children) {
  const held = main.contains(document.activeElement);
  replace(main, ...children);
  if (held) focusHeading(main);
}

/** Makes a change within `element`; a focus that it removes goes to what has the same words now. */
export function keepFocus(element, change) {
  const before = element.contains(document.activeElement) ? document.activeElement : null;
  change();
  if (!before || before.isConnected) return;
  const all = [...element.querySelectorAll("a, button:not(:disabled)")];
  (all.find((each) => each.textContent === before.textContent) ?? all[0])?.focus();
}
