// Every scan that the caller may see, newest first.

import { choice, field, h, replace } from "../core/dom.js";
import { pagedList } from "../core/pages.js";
import { empty } from "../core/states.js";
import { CLASSES } from "../core/words.js";
import { scanRow } from "../scans/row.js";

const STATES = [
  ["", "Any state"],
  ["completed", "Completed"],
  ["failed", "Failed"],
  ["canceled", "Canceled"],
];
const PAUSE_MS = 250;

export function show({ main, title }) {
  title("Scans");
  const ending = new AbortController();
  const label = choice([["", "Any class"], ...Object.entries(CLASSES)]);
  const state = choice(STATES);
  const reference = h("input", { type: "search", maxLength: 128, placeholder: "Exactly as it was sent" });
  const list = pagedList({
    path: "/v1/scans",
    look: "scan-rows wide",
    draw: (items) => items.map(scanRow),
    nothing: (query) =>
      Object.keys(query).length > 1
        ? empty("No scan fits", "Change the filters above.")
        : empty("No scans yet", "Send a slice first.", h("a", { class: "button primary", href: "#/analyze" }, "Analyze a scan")),
    signal: ending.signal,
  });
  const reload = () => {
    const query = { limit: "50" };
    if (label.value) query.label = label.value;
    if (state.value) query.state = state.value;
    if (reference.value.trim()) query.reference = reference.value.trim();
    list.reload(query);
  };
  let timer = null;
  label.addEventListener("change", reload);
  state.addEventListener("change", reload);
  reference.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(reload, PAUSE_MS);
  });
  replace(
    main,
    h("div", { class: "head" }, h("h1", {}, "Scans"), h("div", { class: "actions" }, h("a", { class: "button primary", href: "#/analyze" }, "Analyze a scan"))),
    h(
      "section",
      { class: "card" },
      h("div", { class: "filters" }, field("Class", label), field("State", state), field("Reference", reference)),
      list.element,
    ),
  );
  reload();
  return () => {
    clearTimeout(timer);
    ending.abort();
  };
}
