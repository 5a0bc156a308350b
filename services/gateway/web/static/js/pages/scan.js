// A scan's result, from the upload's answer on: what is known fills its own place.

import { get, post, words } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { renew } from "../core/focus.js";
import { moment, percent, shortId } from "../core/format.js";
import { takeOver } from "../core/handoff.js";
import { follow } from "../core/live.js";
import { may } from "../core/session.js";
import { failureOf, waiting } from "../core/states.js";
import { say } from "../core/toast.js";
import { FORMATS, isFinal, SPACING_SOURCES } from "../core/words.js";
import { patientWords } from "../analyze/patient-picker.js";
import { actions } from "../result/actions.js";
import { analyses } from "../result/analyses.js";
import { announcer } from "../result/announcer.js";
import { method } from "../result/method.js";
import { notices } from "../result/notices.js";
import { parameters } from "../result/parameters.js";
import { reportRenewal } from "../result/renewal.js";
import { review } from "../result/review.js";
import { stages } from "../result/stages.js";
import { strip } from "../result/strip.js";
import { verdict } from "../result/verdict.js";
import "../viewer/viewer.js";

export function show({ main, params, title }) {
  const path = `/v1/scans/${params.id}`;
  title(`Scan ${shortId(params.id)}`);
  const ending = new AbortController();
  let stop = () => {};
  let page = null;
  const take = (scan) => {
    page ??= build(main, scan, { path, refresh, take, signal: ending.signal });
    page.update(scan);
  };
  const refresh = async () => {
    const scan = await get(path, { signal: ending.signal });
    take(scan);
    if (!isFinal(scan.state)) watch();
  };
  const watch = () => {
    stop();
    stop = follow(path, {
      onValue: take,
      isOver: (scan) => isFinal(scan.state),
      onGone: (error) => say(words(error), { failed: true }),
    });
  };
  const load = async () => {
    renew(main, h("h1", { class: "visually-hidden" }, `Scan ${shortId(params.id)}`), waiting(48, 24, 640));
    try {
      const scan = await get(path, { signal: ending.signal });
      take(scan);
      if (!isFinal(scan.state)) watch();
    } catch (error) {
      if (!ending.signal.aborted) renew(main, failureOf(error, load));
    }
  };
  const known = takeOver(path);
  if (known) {
    take(known.scan);
    watch();
  } else load();
  return () => {
    ending.abort();
    stop();
  };
}

function build(main, scan, { path, refresh, take, signal }) {
  const viewer = document.createElement("ns-viewer");
  const pictures = strip(viewer, scan);
  const patient = h("span");
  const meta = h("span");
  const further = h("div");
  const later = analyses(further, scan, signal);
  const acts = actions({ onChanged: refresh, onReanalyze: later.ask });
  const awaitReport = reportRenewal(path, { take, note: acts.note, signal });
  const onSaved = (saved) => {
    take(saved);
    awaitReport(saved);
  };
  const onRetry = may("admin")
    ? async () => {
        try {
          await post(`${path}/retry`);
          await refresh();
        } catch (error) {
          say(words(error), { failed: true });
        }
      }
    : null;
  const parts = {
    acts,
    pictures,
    later,
    announcer: announcer(),
    notices: notices({ onRetry }),
    stages: part("ol", "stages", stages, (now) => now.stages),
    verdict: part("section", "card verdict-card", verdict, (now) => [now.classification, now.input_check, isFinal(now.state)]),
    parameters: part("section", "card parameters-card", parameters, (now) => [now.spatial, isFinal(now.state) && now.state]),
    review: part("section", "card review-card", (now) => review(now, { onSaved }), (now) => [now.review, now.classification?.label, now.input_check]),
    method: part("section", "card method-card", method, (now) => [now.explanation, now.model, now.input_check, now.classification?.label, now.spatial !== null]),
  };
  parts.stages.element.setAttribute("aria-label", "Progress");
  renew(
    main,
    h(
      "div",
      { class: "head" },
      h("div", {}, h("h1", {}, scan.reference ?? `Scan ${shortId(scan.id)}`), h("p", { class: "meta" }, patient, meta)),
      acts.element,
    ),
    parts.announcer.element,
    parts.stages.element,
    parts.notices.element,
    h(
      "div",
      { class: "result" },
      parts.verdict.element,
      h("section", { class: "card viewer-card", "aria-label": "Pictures" }, viewer, pictures.element),
      parts.parameters.element,
      parts.review.element,
      parts.method.element,
    ),
    further,
  );
  showPatient(patient, scan, signal);
  return {
    update(now) {
      meta.replaceChildren(...metaOf(now));
      viewer.show(now);
      for (const each of Object.values(parts)) each.update(now);
    },
  };
}

/** A place that is drawn anew only when what it shows has changed. */
function part(tag, look, draw, dependsOn) {
  const element = h(tag, { class: look });
  let shown = null;
  return {
    element,
    update(scan) {
      const key = JSON.stringify(dependsOn(scan));
      if (key === shown) return;
      shown = key;
      replace(element, draw(scan));
    },
  };
}

function metaOf(scan) {
  const { format, width, height, geometry } = scan.image;
  const spacing = geometry.row_mm
    ? `${geometry.row_mm.toFixed(2)} × ${geometry.column_mm.toFixed(2)} mm (${SPACING_SOURCES[geometry.source]})`
    : "spacing unknown";
  const facts = [
    FORMATS[format],
    planeWords(geometry),
    `${width} × ${height} px`,
    spacing,
    scan.acquired_at ? `acquired ${moment(scan.acquired_at)}` : `received ${moment(scan.created_at)}`,
  ];
  const batch = scan.batch_id && h("a", { href: `#/batches/${scan.batch_id}` }, "batch");
  return [facts.filter(Boolean).join(" · "), batch ? [" · ", batch] : []].flat();
}

/** A plane that was found and is not certain says so, as in the report. */
function planeWords({ plane, plane_confidence: sure }) {
  return plane && sure !== null && sure < 0.95 ? `${plane} (${percent(sure)} sure)` : plane;
}

async function showPatient(place, scan, signal) {
  if (!scan.patient_id || !may("clinician")) return;
  replace(place, h("a", { href: `#/patients/${scan.patient_id}` }, "Patient"), " · ");
  try {
    const patient = await get(`/v1/patients/${scan.patient_id}`, { signal });
    replace(place, h("a", { href: `#/patients/${patient.id}`, dir: "auto" }, patientWords(patient)), " · ");
  } catch {
    // The link alone stays.
  }
}
