// Two scans of a patient side by side, zoom and pan in step.

import { get } from "../core/api.js";
import { choice, field, h, replace } from "../core/dom.js";
import { day, length, percent, shortId } from "../core/format.js";
import { go } from "../core/router.js";
import { empty, failureOf, waiting } from "../core/states.js";
import { CLASSES } from "../core/words.js";
import { outcome } from "../scans/row.js";
import { ViewState } from "../viewer/view-state.js";
import "../viewer/viewer.js";

export function show({ main, params, title }) {
  title("Compare");
  const ending = new AbortController();
  const { signal } = ending;
  const load = async () => {
    replace(main, h("h1", { class: "visually-hidden" }, "Compare"), waiting(48, 600));
    try {
      const scan = await get(`/v1/scans/${params.id}`, { signal });
      const history = await get(`/v1/patients/${scan.patient_id}/scans?limit=200`, { signal });
      const others = history.items.filter((each) => each.id !== scan.id && each.classification);
      const chosen = params.other === "earlier" ? earlier(scan, others) : others.find((each) => each.id === params.other);
      draw(main, scan, chosen ?? others[0], others);
    } catch (error) {
      if (!signal.aborted) replace(main, failureOf(error, load));
    }
  };
  load();
  return () => ending.abort();
}

/** The newest that is older than the scan. */
function earlier(scan, others) {
  return others
    .filter((each) => dateOf(each) < dateOf(scan))
    .sort((a, b) => (dateOf(a) < dateOf(b) ? 1 : -1))[0];
}

function draw(main, scan, other, others) {
  const back = h("a", { class: "button", href: `#/scans/${scan.id}` }, "Back to the scan");
  if (!other) {
    replace(main, h("div", { class: "head" }, h("h1", {}, "Compare")), empty("There is no other scan of this patient", "Send another one first.", back));
    return;
  }
  const pick = choice(
    others.map((each) => [each.id, `${day(dateOf(each))}: ${outcome(each)}`]),
    { value: other.id, onchange: () => go(`/scans/${scan.id}/compare/${pick.value}`) },
  );
  const state = new ViewState();
  replace(
    main,
    h(
      "div",
      { class: "head" },
      h("div", {}, h("h1", {}, "Compare"), h("p", { class: "meta" }, "Zoom and pan go in step, by shares of each picture. The slices may lie at different levels.")),
      h("div", { class: "actions" }, field("Compared with", pick), back),
    ),
    h("div", { class: "compare" }, side(other, state), side(scan, state)),
  );
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
      h("p", {}, h("strong", {}, CLASSES[scan.classification.label]), ` ${percent(scan.classification.confidence)}`, sizes(scan)),
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
