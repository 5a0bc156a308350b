// What can be done with a scan: downloads, another analysis, cancel, delete.

import { post, words } from "../core/api.js";
import { confirm } from "../core/dialog.js";
import { h, newId, replace, setText } from "../core/dom.js";
import { keepFocus } from "../core/focus.js";
import { icon } from "../core/icons.js";
import { removeFollowed } from "../core/live.js";
import { go } from "../core/router.js";
import { say } from "../core/toast.js";
import { isFinal } from "../core/words.js";

/** The actions, with `update(scan)` at each change, and `note(text)` on how the report stands. */
export function actions({ onChanged, onReanalyze }) {
  const note = h("small", { class: "muted", role: "status" });
  const first = h("span", { class: "row" });
  const more = menu("More");
  const last = h("span", { class: "row" });
  const element = h("div", { class: "actions" }, note, first, more.element, last);
  let shown = null;
  const draw = (scan) => {
    const running = !isFinal(scan.state);
    replace(
      first,
      running && h("button", { type: "button", onclick: () => cancel(scan, onChanged) }, "Cancel"),
      scan.patient_id && h("a", { class: "button", href: `#/scans/${scan.id}/compare/earlier` }, "Compare with earlier"),
    );
    more.show([
      fileLink(`/v1/scans/${scan.id}`, `scan-${scan.id}.json`, "Scan as JSON"),
      fileLink(scan.links.slice, `scan-${scan.id}-slice.png`, "Slice as PNG"),
      scan.links.heatmap && fileLink(scan.links.heatmap, `scan-${scan.id}-heatmap.png`, "Heat map as PNG"),
      scan.links.overlay && fileLink(scan.links.overlay, `scan-${scan.id}-overlay.png`, "Overlay as PNG"),
      scan.links.cam && fileLink(scan.links.cam, `scan-${scan.id}-map.npz`, "Unscaled map as NPZ"),
      !running && menuButton("Analyze again", onReanalyze),
      menuButton("Delete the scan", () => erase(scan), "bad"),
    ]);
    replace(last, report(scan));
  };
  const update = (scan) => {
    const key = JSON.stringify([scan.state, scan.links, scan.report]);
    if (key !== shown) keepFocus(element, () => draw(scan));
    shown = key;
  };
  return { element, update, note: (text) => setText(note, text) };
}

function report(scan) {
  if (scan.report) {
    const name = `scan-${scan.id}-report-${scan.report.version}.pdf`;
    return h("a", { class: "button primary", href: scan.report.href, download: name }, icon("download"), "PDF report");
  }
  return h("button", { class: "primary", type: "button", disabled: true }, icon("download"), "PDF report");
}

/** A menu behind a button; `show(items)` changes what is in it and leaves it open. */
function menu(label) {
  const id = newId("menu");
  const list = h("div", { id, popover: "auto", class: "popover menu" });
  const button = h("button", { type: "button", popovertarget: id }, label);
  list.addEventListener("toggle", (event) => {
    if (event.newState !== "open") return;
    const box = button.getBoundingClientRect();
    list.style.top = `${Math.max(Math.min(box.bottom + 6, innerHeight - list.offsetHeight - 12), 12)}px`;
    list.style.right = `${Math.max(document.documentElement.clientWidth - box.right, 12)}px`;
    list.querySelector("a, button")?.focus();
  });
  list.addEventListener("click", () => list.hidePopover());
  return { element: h("span", {}, button, list), show: (items) => replace(list, items) };
}

function fileLink(href, download, text) {
  return h("a", { href, download }, icon("download"), text);
}

function menuButton(text, onclick, look = "") {
  return h("button", { type: "button", class: `quiet ${look}`, onclick }, text);
}

async function cancel(scan, onChanged) {
  try {
    await post(`/v1/scans/${scan.id}/cancel`);
    await onChanged();
  } catch (error) {
    say(words(error), { failed: true });
  }
}

async function erase(scan) {
  const done = await confirm(
    "Delete this scan?",
    "The slice, its heat maps, its parameters, its reviews and its report are removed for good.",
    { action: "Delete the scan", send: () => removeFollowed(`/v1/scans/${scan.id}`) },
  );
  if (!done) return;
  say("The scan was deleted.");
  go("/scans");
}
