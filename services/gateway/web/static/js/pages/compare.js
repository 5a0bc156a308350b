// Two scans of a patient side by side, zoom and pan in step.

import { get } from "../core/api.js";
import { choice, field, h } from "../core/dom.js";
import { renew } from "../core/focus.js";
import { day, length, shortId } from "../core/format.js";
import { go } from "../core/router.js";
import { empty, failureOf, waiting } from "../core/states.js";
import { outcome } from "../scans/row.js";
import { ViewState } from "../viewer/view-state.js";
import "../viewer/viewer.js";

const EARLIER = "earlier";

export function show({ main, params, title }) {
  title("Compare");
  const ending = new AbortController();
  const { signal } = ending;
  const load = async () => {
    renew(main, h("h1", { class: "visually-hidden" }, "Compare"), waiting(48, 600));
    try {
      const scan = await get(`/v1/scans/${params.id}`, { signal });
      draw(main, scan, await othersOf(scan, signal), params.other);
    } catch (error) {
      if (!signal.aborted) renew(main, failureOf(error, load));
    }
  };
  load();
  return () => ending.abort();
}

/** The classified scans of the same patient. */
async function othersOf(scan, signal) {
  if (!scan.patient_id) return [];
  const { items } = await get(`/v1/patients/${scan.patient_id}/scans?limit=200`, { signal });
  return items.filter((each) => each.id !== scan.id && each.classification);
}

/** The newest that is older than the scan. */
function earlier(scan, others) {
  return others
    .filter((each) => dateOf(each) < dateOf(scan))
    .sort((a, b) => (dateOf(a) < dateOf(b) ? 1 : -1))[0];
}

function draw(main, scan, others, wanted) {
  const back = h("a", { class: "button", href: `#/scans/${scan.id}` }, "Back to the scan");
  if (others.length === 0) {
    renew(main, h("div", { class: "head" }, h("h1", {}, "Compare")), empty("There is no other scan of this patient", "Send another one first.", back));
    return;
  }
  const other = wanted === EARLIER ? earlier(scan, others) : others.find((each) => each.id === wanted);
  const state = new ViewState();
  renew(
    main,
    h(
      "div",
      { class: "head" },
      h("div", {}, h("h1", {}, "Compare"), h("p", { class: "meta" }, "Zoom and pan go in step, by shares of each picture. The slices may lie at different levels.")),
      h("div", { class: "actions" }, picker(scan, other, others), back),
    ),
    h("div", { class: "compare" }, other ? side(other, state) : missing(wanted), side(scan, state)),
  );
}

/** Goes on by its button: a choice by arrow keys passes others on its way. */
function picker(scan, other, others) {
  const options = others.map((each) => [each.id, `${day(dateOf(each))}: ${outcome(each)}`]);
  const pick = choice(other ? options : [["", "Choose a scan"], ...options], { value: other?.id ?? "" });
  const button = h("button", { type: "submit", disabled: true }, "Compare");
  pick.addEventListener("input", () => {
    button.disabled = pick.value === "" || pick.value === other?.id;
  });
  return h(
    "form",
    {
      class: "row compare-pick",
      onsubmit: (event) => {
        event.preventDefault();
        go(`/scans/${scan.id}/compare/${pick.value}`);
      },
    },
    field("Compared with", pick),
    button,
  );
}

function missing(wanted) {
  const title = wanted === EARLIER ? "There is no earlier scan" : "There is no such scan of this patient";
  return h("section", { class: "card" }, empty(title, "Choose another one above."));
}

function side(scan, state) {
  const viewer = document.createElement("ns-viewer");
  viewer.state = state;
  const card = h(
    "section",
    { class: "card viewer-card", "aria-label": `Scan of ${day(dateOf(scan))}` },
    h(
      "div",
      { class: "compare-head" },
      h("h2", {}, h("a", { href: `#/scans/${scan.id}` }, `${day(dateOf(scan))} · ${scan.reference ?? shortId(scan.id)}`)),
      h("p", {}, h("strong", {}, outcome(scan)), sizes(scan)),
    ),
    viewer,
  );
  // A custom element takes its scan once it is in the document.
  queueMicrotask(() => viewer.show(scan));
  return card;
}

function sizes(scan) {
  const found = scan.spatial?.maximum_dimensions;
  if (!found?.value) return "";
  const [a, b] = found.value;
  return ` · ${length(a)} × ${length(b)} mm (${found.status})`;
}

function dateOf(scan) {
  return scan.acquired_at ?? scan.created_at;
}
