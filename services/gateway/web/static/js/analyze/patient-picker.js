// Picks a patient by part of a number or name, or makes one in place. A name never gets into a URL.

import { post, words } from "../core/api.js";
import { h, newId, replace } from "../core/dom.js";
import { day } from "../core/format.js";
import { icon } from "../core/icons.js";
import { createPatient } from "../patients/form.js";

const PAUSE_MS = 180;
const SHOWN = 8;
const NOT_PICKED = "Pick a patient from the list, create one, or empty this field.";

/** `{ element, value() }`; `patient` is picked from the start. */
export function patientPicker(patient = null) {
  const id = newId("patient");
  const state = { patient, options: [], optionsFor: null, active: -1, timer: null, turn: 0 };
  const input = h("input", {
    id,
    role: "combobox",
    "aria-expanded": "false",
    "aria-autocomplete": "list",
    "aria-controls": `${id}-list`,
    placeholder: "Number or name",
    autocomplete: "off",
    spellcheck: "false",
  });
  const list = h("ul", { id: `${id}-list`, role: "listbox", class: "options", "aria-label": "Patients", hidden: true });
  const chosen = h("div", { class: "chosen" });
  const element = h("div", { class: "field picker" }, h("label", { for: id }, "Patient"), input, list, chosen);

  const typed = () => input.value.trim();
  // Options of an older text stay to be seen, and nothing acts on them.
  const optionsFit = () => !list.hidden && state.optionsFor === typed();
  // Whatever is still under way belongs to an older text.
  const forgetQuestions = () => {
    clearTimeout(state.timer);
    state.turn += 1;
  };
  const setActive = (active) => {
    state.active = active;
    [...list.children].forEach((option, index) => {
      option.setAttribute("aria-selected", String(index === active));
    });
    if (active < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", `${id}-${active}`);
  };
  const close = () => {
    forgetQuestions();
    list.hidden = true;
    setActive(-1);
    input.setAttribute("aria-expanded", "false");
  };
  // A number that was typed and not picked would make a scan of nobody.
  const check = () => input.setCustomValidity(!state.patient && typed() ? NOT_PICKED : "");
  const pick = (picked) => {
    state.patient = picked;
    input.value = "";
    check();
    close();
    showChosen();
  };
  const showChosen = () => {
    input.hidden = state.patient !== null;
    replace(
      chosen,
      state.patient && [
        h("span", {}, patientWords(state.patient)),
        h(
          "button",
          {
            class: "quiet icon-button",
            type: "button",
            "aria-label": "Another patient",
            onclick: () => {
              pick(null);
              input.focus();
            },
          },
          icon("close"),
        ),
      ],
    );
    if (state.patient) chosen.querySelector("button").focus();
  };
  const make = async () => {
    close();
    const made = await createPatient({ medical_record_number: typed() });
    if (made) pick(made);
  };
  const showOptions = (options) => {
    state.options = options;
    state.optionsFor = typed();
    replace(
      list,
      options.map(({ words: text, note, act }, index) =>
        h(
          "li",
          {
            role: "option",
            id: `${id}-${index}`,
            "aria-selected": "false",
            // Before the field loses its focus.
            onmousedown: (event) => {
              event.preventDefault();
              if (optionsFit()) act();
            },
          },
          text,
          note && h("small", {}, note),
        ),
      ),
    );
    list.hidden = false;
    setActive(-1);
    input.setAttribute("aria-expanded", "true");
  };
  const search = async () => {
    forgetQuestions();
    const mine = state.turn;
    const q = typed();
    const create = { words: q ? `Create patient ${q}` : "Create a patient", act: make };
    if (!q) return showOptions([create]);
    try {
      const { items } = await post("/v1/patients/search", { q, limit: SHOWN });
      if (mine !== state.turn) return undefined;
      const found = items.map((each) => ({
        words: each.medical_record_number,
        note: [each.name, each.birth_date && day(each.birth_date)].filter(Boolean).join(" · "),
        act: () => pick(each),
      }));
      return showOptions([...found, create]);
    } catch (error) {
      if (mine !== state.turn) return undefined;
      return showOptions([{ words: words(error), act: search }]);
    }
  };
  const move = (step) => {
    if (!optionsFit()) return;
    const count = state.options.length;
    const from = state.active < 0 && step < 0 ? 0 : state.active;
    setActive((from + step + count) % count);
    list.children[state.active].scrollIntoView({ block: "nearest" });
  };
  input.addEventListener("input", () => {
    check();
    forgetQuestions();
    setActive(-1);
    state.timer = setTimeout(search, PAUSE_MS);
  });
  input.addEventListener("focus", search);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      move(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!optionsFit()) return;
      if (state.active >= 0) state.options[state.active].act();
      else if (state.options.length === 2) state.options[0].act();
    } else if (event.key === "Escape") close();
  });
  if (patient) showChosen();
  return { element, value: () => state.patient?.id ?? null };
}

/** A patient in a line. */
export function patientWords(patient) {
  return [patient.medical_record_number, patient.name].filter(Boolean).join(" · ");
}
