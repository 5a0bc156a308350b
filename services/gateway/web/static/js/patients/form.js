// A patient's fields in a dialog, for a new one and for a change.

import { patch, post } from "../core/api.js";
import { formDialog } from "../core/dialog.js";
import { choice, field, h } from "../core/dom.js";
import { today } from "../core/format.js";
import { SEXES } from "../core/words.js";

/** The new patient, or null. */
export async function createPatient(known = {}) {
  const form = fieldsOf(known);
  const done = await formDialog("New patient", form.elements, {
    action: "Create patient",
    send: () => post("/v1/patients", form.values()),
  });
  return done?.value ?? null;
}

/** The changed patient, or null. */
export async function editPatient(patient) {
  const form = fieldsOf(patient);
  const done = await formDialog("Edit patient", form.elements, {
    action: "Save",
    send: () => patch(`/v1/patients/${patient.id}`, form.values()),
  });
  return done?.value ?? null;
}

function fieldsOf(known) {
  const record = h("input", { required: true, maxLength: 64, autocomplete: "off", value: known.medical_record_number ?? "" });
  const name = h("input", { maxLength: 200, autocomplete: "off", dir: "auto", value: known.name ?? "" });
  const born = h("input", { type: "date", max: today(), value: known.birth_date ?? "" });
  const sex = choice(Object.entries(SEXES), { value: known.sex ?? "unknown" });
  const notes = h("textarea", { maxLength: 4000, dir: "auto" });
  notes.value = known.notes ?? "";
  return {
    elements: [
      field("Medical record number", record),
      field("Name", name),
      h("div", { class: "fields" }, field("Birth date", born), field("Sex", sex)),
      field("Notes", notes),
    ],
    values: () => ({
      medical_record_number: record.value.trim(),
      name: name.value.trim() || null,
      birth_date: born.value || null,
      sex: sex.value,
      notes: notes.value,
    }),
  };
}
