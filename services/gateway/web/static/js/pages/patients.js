// Patients: search by part of a number or name, and the newest ones.

import { post } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { day } from "../core/format.js";
import { icon } from "../core/icons.js";
import { pagedList } from "../core/pages.js";
import { go } from "../core/router.js";
import { empty, failureOf } from "../core/states.js";
import { SEXES } from "../core/words.js";
import { createPatient } from "../patients/form.js";

const PAUSE_MS = 200;

export function show({ main, title }) {
  title("Patients");
  const ending = new AbortController();
  const { signal } = ending;
  const place = h("div");
  const create = async () => {
    const made = await createPatient();
    if (made) go(`/patients/${made.id}`);
  };
  const list = pagedList({
    path: "/v1/patients",
    look: "lines",
    draw: (items) => items.map(line),
    nothing: () => empty("No patients yet", "A patient keeps scans together and shows how they change."),
    signal,
  });
  const box = h("input", { type: "search", placeholder: "Part of a number or name", "aria-label": "Search patients", maxLength: 200 });
  let timer = null;
  let turn = 0;
  const search = async () => {
    const q = box.value.trim();
    turn += 1;
    const mine = turn;
    if (!q) {
      replace(place, list.element);
      return;
    }
    try {
      const { items } = await post("/v1/patients/search", { q, limit: 50 }, { signal });
      if (mine !== turn) return;
      replace(
        place,
        items.length > 0
          ? h("ul", { class: "lines" }, items.map(line))
          : empty("Nobody found", "Check the spelling, or create the patient.", h("button", { onclick: create }, "New patient")),
      );
    } catch (error) {
      if (!signal.aborted && mine === turn) replace(place, failureOf(error, search));
    }
  };
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, PAUSE_MS);
  });
  replace(place, list.element);
  replace(
    main,
    h(
      "div",
      { class: "head" },
      h("h1", {}, "Patients"),
      h("div", { class: "actions" }, h("button", { class: "primary", type: "button", onclick: create }, icon("plus"), "New patient")),
    ),
    h("section", { class: "card" }, h("div", { class: "search" }, icon("search"), box), place),
  );
  list.reload({ limit: "50" });
  return () => {
    clearTimeout(timer);
    ending.abort();
  };
}

function line(patient) {
  const facts = [patient.birth_date && `born ${day(patient.birth_date)}`, patient.sex !== "unknown" && SEXES[patient.sex].toLowerCase()];
  return h(
    "li",
    {},
    h(
      "a",
      { href: `#/patients/${patient.id}` },
      h("span", {}, h("strong", {}, patient.medical_record_number), h("small", { dir: "auto" }, patient.name ?? "—")),
      h("span", { class: "end" }, h("small", {}, facts.filter(Boolean).join(", "))),
    ),
  );
}
