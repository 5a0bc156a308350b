// A patient's scans along time, newest first, under their years.

import { get } from "../core/api.js";
import { h, replace, workButton } from "../core/dom.js";
import { day } from "../core/format.js";
import { failureOf } from "../core/states.js";
import { CLASSES, isFinal, namesTumor, spacingKnown, STATES, wasTurnedAway } from "../core/words.js";
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
    replace(foot, history.next_cursor && workButton("Show more", more));
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
        review && h("small", {}, review.agrees && !wasTurnedAway(scan) ? "reader agrees" : `reader: ${CLASSES[review.label].toLowerCase()}`),
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
  const { geometry } = scan.image;
  const region = scan.explanation?.region;
  if (!region || !namesTumor(scan) || !spacingKnown(geometry)) return null;
  return region.area_px * geometry.row_mm * geometry.column_mm;
}

function dateOf(scan) {
  return scan.acquired_at ?? scan.created_at;
}
