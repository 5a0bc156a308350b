// The ten parameters as a table: standing by word and shape, method and assumptions on demand.

import { h, newId } from "../core/dom.js";
import { sentence } from "../core/format.js";
import { icon, standingShape } from "../core/icons.js";
import { isFinal, STANDINGS } from "../core/words.js";
import { PARAMETERS } from "./parameter-words.js";

export function parameters(scan) {
  const found = scan.spatial;
  const rows = PARAMETERS.map(([name, key, write, usual]) =>
    found ? row(name, found[key], write) : waitingRow(name, usual),
  );
  return [
    h("h2", {}, "Spatial parameters"),
    h(
      "table",
      { class: "parameters", "aria-busy": found || isFinal(scan.state) ? null : "true" },
      h(
        "thead",
        { class: "visually-hidden" },
        h("tr", {}, h("th", { scope: "col" }, "Parameter"), h("th", { scope: "col" }, "Value"), h("th", { scope: "col" }, "Standing")),
      ),
      rows.map((each) => h("tbody", {}, each)),
    ),
    h("p", { class: "small faint" }, note(scan)),
  ];
}

function note(scan) {
  if (scan.spatial) return "A name opens its method and assumptions. A dash stands for what this picture does not tell.";
  if (scan.state === "failed") return "The scan failed before the parameters were measured.";
  if (scan.state === "canceled") return "The scan was canceled before the parameters were measured.";
  return "Being measured.";
}

function row(name, parameter, write) {
  const [value, detail] = write(parameter);
  const id = newId("method");
  const more = h("tr", { class: "method", id, hidden: true }, h("td", { colSpan: 3 }, methodOf(parameter)));
  const button = h(
    "button",
    {
      class: "disclose",
      type: "button",
      "aria-expanded": "false",
      "aria-controls": id,
      onclick: () => {
        more.hidden = !more.hidden;
        button.setAttribute("aria-expanded", String(!more.hidden));
      },
    },
    icon("chevron"),
    name,
  );
  const notes = [detail, sentence(parameter.reason)].filter(Boolean);
  return [
    h(
      "tr",
      {},
      h("th", { scope: "row" }, button),
      h("td", {}, value, notes.map((text) => h("small", {}, text))),
      h("td", {}, standing(parameter.status)),
    ),
    more,
  ];
}

/** A standing as its shape and word. */
export function standing(status) {
  return h("span", { class: `standing ${status}` }, standingShape(status), STANDINGS[status]);
}

function methodOf({ method, assumptions }) {
  return [
    h("p", {}, sentence(method)),
    assumptions.length > 0 && h("ul", {}, assumptions.map((text) => h("li", {}, sentence(text)))),
  ];
}

/** A row that takes the room of what is to come, so that nothing jumps when it comes. */
function waitingRow(name, usual) {
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("span", { class: "disclose" }, icon("chevron"), name)),
    h("td", { class: "faint" }, "—", h("small", { class: "unseen", "aria-hidden": "true" }, usual)),
    h("td", {}, h("span", { class: "standing unseen", "aria-hidden": "true" }, standingShape("estimated"), "estimated")),
  );
}
