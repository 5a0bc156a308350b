// One patient: who it is, the trend, the history; edit, export, delete.

import { get, remove } from "../core/api.js";
import { confirm } from "../core/dialog.js";
import { h } from "../core/dom.js";
import { renew } from "../core/focus.js";
import { day, plural } from "../core/format.js";
import { handOver } from "../core/handoff.js";
import { icon } from "../core/icons.js";
import { go } from "../core/router.js";
import { empty, failureOf, waiting } from "../core/states.js";
import { say } from "../core/toast.js";
import { SEXES } from "../core/words.js";
import { editPatient } from "../patients/form.js";
import { timeline } from "../patients/timeline.js";
import { trendCard } from "../patients/trend.js";

export function show({ main, params, title }) {
  const path = `/v1/patients/${params.id}`;
  title("Patient");
  const ending = new AbortController();
  const load = async () => {
    renew(main, h("h1", { class: "visually-hidden" }, "Patient"), waiting(48, 120, 400));
    try {
      const [patient, history] = await Promise.all([
        get(path, { signal: ending.signal }),
        get(`${path}/scans?limit=50`, { signal: ending.signal }),
      ]);
      draw(main, patient, history, { path, load, signal: ending.signal });
    } catch (error) {
      if (!ending.signal.aborted) renew(main, failureOf(error, load));
    }
  };
  load();
  return () => ending.abort();
}

function draw(main, patient, history, { path, load, signal }) {
  const upload = () => {
    handOver("patient-for-upload", patient);
    go("/analyze");
  };
  renew(
    main,
    h(
      "div",
      { class: "head" },
      h("div", {}, h("h1", { dir: "auto" }, patient.name ?? patient.medical_record_number), h("p", { class: "meta" }, `Number ${patient.medical_record_number}`)),
      h(
        "div",
        { class: "actions" },
        h("button", { type: "button", onclick: () => edit(patient, load) }, "Edit"),
        h("a", { class: "button", href: `${path}/export`, download: `patient-${patient.id}.zip` }, icon("download"), "Export"),
        h("button", { class: "danger", type: "button", onclick: () => erase(patient, history, path) }, "Delete"),
        h("button", { class: "primary", type: "button", onclick: upload }, icon("plus"), "New scan"),
      ),
    ),
    h(
      "div",
      { class: "two" },
      h(
        "section",
        { class: "card" },
        h("h2", {}, "Patient"),
        h("dl", { class: "facts" }, facts(patient).map(([term, text]) => [h("dt", {}, term), h("dd", { dir: "auto" }, text)])),
      ),
      trendCard(history.trend),
    ),
    h(
      "section",
      { class: "card" },
      h("h2", {}, "History"),
      history.items.length > 0
        ? timeline(history, path, signal)
        : empty("No scans of this patient yet", "Send the first one.", h("button", { onclick: upload }, "New scan")),
    ),
  );
}

function facts(patient) {
  return [
    ["Number", patient.medical_record_number],
    ["Name", patient.name ?? "—"],
    ["Birth date", day(patient.birth_date)],
    ["Sex", SEXES[patient.sex]],
    ["Notes", patient.notes || "—"],
  ];
}

async function edit(patient, load) {
  if (!(await editPatient(patient))) return;
  say("The patient was saved.");
  await load();
}

async function erase(patient, history, path) {
  const more = history.next_cursor ? "more than " : "";
  const scans = plural(history.items.length, "scan");
  const done = await confirm(
    "Delete this patient?",
    [
      h("p", {}, h("strong", { dir: "auto" }, [patient.medical_record_number, patient.name].filter(Boolean).join(", "))),
      h(
        "p",
        {},
        history.items.length > 0
          ? `${more}${scans} with their pictures, heat maps, parameters, reviews and reports are removed for good, and the patient with them.`
          : "There are no scans. The patient is removed for good.",
      ),
    ],
    { action: "Delete the patient", send: () => remove(path) },
  );
  if (!done) return;
  say("The patient was deleted.");
  go("/patients");
}
