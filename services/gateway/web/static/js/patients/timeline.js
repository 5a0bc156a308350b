// A patient's scans along time, newest first, under their years.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { day } from "../core/format.js";
import { failureOf } from "../core/states.js";
import { CLASSES, isFinal, STATES } from "../core/words.js";
import { outcome } from "../scans/row.js";

export function timeline(first, path, signal) {
  const list = h("ol", { class: "timeline" });
  const foot = h("div", { class: "row" });
  let year = null;
  const add = (history) => {
    for (const scan of history.items) {
      const its = new Date(dateOf(scan)).getFullYear();
      if (its !== year) list.append(h("li", { class: "year" }, String(its)));
      year = its;
      list.append(entry(scan));
    }
    const more = async () => {
      try {
        add(await get(`${path}/scans?limit=50&cursor=${encodeURIComponent(history.next_cursor)}`, { signal }));
      } catch (error) {
        if (!signal.aborted) replace(foot, failureOf(error, more));
      }
    };
    replace(foot, history.next_cursor && h("button", { type: "button", onclick: more }, "Show more"));
  };
  add(first);
  return [list, foot];
}

function entry(scan) {
  const review = scan.review;
  return h(
    "li",
    {},
    h(
      "a",
      { href: `#/scans/${scan.id}` },
      h("img", { src: `/v1/scans/${scan.id}/thumbnail.webp`, alt: "", width: 96, height: 96, loading: "lazy" }),
      h(
        "span",
        {},
        h("small", {}, day(dateOf(scan)), scan.acquired_at ? "" : " (received)"),
        h("strong", { class: scan.state === "failed" ? "bad" : "" }, outcome(scan)),
        h("small", {}, details(scan)),
        review && h("small", {}, review.agrees ? "reader agrees" : `reader: ${CLASSES[review.label].toLowerCase()}`),
        !isFinal(scan.state) && h("small", { class: "running" }, STATES[scan.state]),
      ),
    ),
  );
}

function details(scan) {
  const area = areaOf(scan);
  const parts = [scan.reference, scan.image.geometry.plane, area && `${area.toFixed(0)} mm² in plane`];
  return parts.filter(Boolean).join(" · ") || "—";
}

function areaOf(scan) {
  const { row_mm: row, column_mm: column } = scan.image.geometry;
  const region = scan.explanation?.region;
  if (!region || !row || scan.classification?.label === "no_tumor") return null;
  return region.area_px * row * column;
}

function dateOf(scan) {
  return scan.acquired_at ?? scan.created_at;
}
