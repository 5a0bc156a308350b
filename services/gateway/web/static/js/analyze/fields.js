// What may be said about a slice beside its pixels.

import { choice, field, h } from "../core/dom.js";
import { may } from "../core/session.js";
import { patientPicker } from "./patient-picker.js";

const CONVENTIONS = [
  ["unknown", "From the file, else unknown"],
  ["radiological", "Radiological (right on the left)"],
  ["neurological", "Neurological (right on the right)"],
];

/**
 * The fields: `element`, `values()` → `[name, text]` pairs, `focus(name)`, and `fill(facts)` with what
 * a sample is known for, which `takeBack()` undoes where nobody has written since.
 */
export function scanFields({ single, patient }) {
  const picker = may("clinician") ? patientPicker(patient) : null;
  const reference = h("input", { maxLength: 128, placeholder: "Your own number, never a name", autocomplete: "off" });
  const spacing = h("input", { inputMode: "decimal", maxLength: 40, placeholder: "From the file", autocomplete: "off" });
  const convention = choice(CONVENTIONS);
  const acquired = h("input", { type: "datetime-local" });
  const frame = h("input", { type: "number", min: "0", step: "1", placeholder: "0" });
  const notes = h("textarea", { maxLength: 4000 });
  const more = h(
    "details",
    { class: "more-fields" },
    h("summary", {}, "More"),
    h(
      "div",
      { class: "fields" },
      field("Acquired", acquired, "When the file does not say"),
      single && field("Frame", frame, "Of a file with several pictures; 0 is the first"),
    ),
    field("Notes", notes),
  );
  const element = h(
    "div",
    { class: "stack" },
    h(
      "div",
      { class: "fields" },
      picker?.element,
      single && field("Reference", reference),
      field("Pixel spacing, mm", spacing, "0.49, or row, column: 0.49,0.51"),
      field("Shown as", convention),
    ),
    more,
  );
  const named = { frame, pixel_spacing_mm: spacing, reference };
  // What stood in a field before a sample filled it.
  const former = new Map();
  for (const control of [spacing, convention]) {
    control.addEventListener("input", () => former.delete(control));
  }
  const put = (control, value) => {
    former.set(control, control.value);
    control.value = value;
  };
  return {
    element,
    values: () =>
      [
        ["patient_id", picker?.value() ?? ""],
        ["reference", reference.value.trim()],
        ["pixel_spacing_mm", spacing.value.replace(/\s/g, "")],
        ["display_convention", convention.value],
        ["acquired_at", acquired.value ? new Date(acquired.value).toISOString() : ""],
        ["frame", frame.value],
        ["notes", notes.value],
      ].filter(([, value]) => value !== ""),
    fill({ pixelSpacing, displayConvention }) {
      put(spacing, pixelSpacing);
      put(convention, displayConvention);
    },
    takeBack() {
      for (const [control, value] of former) control.value = value;
      former.clear();
    },
    focus(name) {
      if (name === "frame") more.open = true;
      named[name]?.focus();
    },
  };
}
