// How often readers agree with the network: by month and class, and what they correct to.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { percent } from "../core/format.js";
import { failureOf, waiting } from "../core/states.js";
import { CLASSES } from "../core/words.js";

const MONTH = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric", timeZone: "UTC" });

export function agreementCard(signal) {
  const place = h("div", {}, waiting(120));
  const load = async () => {
    try {
      replace(place, draw(await get("/v1/model/agreement", { signal })));
    } catch (error) {
      if (!signal.aborted) replace(place, failureOf(error, load));
    }
  };
  load();
  return h("section", { class: "card" }, h("h2", {}, "Agreement with readers"), place);
}

function draw({ by_month: months, corrections }) {
  if (months.length === 0) {
    return h("p", { class: "muted" }, "No reviews yet. Each scan's page takes the reader's verdict; they add up here.");
  }
  const all = months.reduce((sum, each) => ({ count: sum.count + each.count, agreed: sum.agreed + each.agreed }), { count: 0, agreed: 0 });
  return [
    h("p", { class: "muted" }, `Readers agree in ${all.agreed} of ${all.count} reviewed scans (${percent(all.agreed / all.count)}).`),
    byMonth(months),
    corrections.length > 0 && [h("h3", {}, "Corrections"), h("ul", {}, corrections.map(correction))],
  ];
}

function byMonth(months) {
  const names = [...new Set(months.map((each) => each.month))];
  const cell = (month, label) => {
    const found = months.find((each) => each.month === month && each.label === label);
    if (!found) return h("td", { class: "number" }, "—");
    return h("td", { class: "number" }, percent(found.share), h("small", { class: "faint" }, ` ${found.agreed} of ${found.count}`));
  };
  return h(
    "div",
    { class: "scroll", tabIndex: 0, role: "group", "aria-label": "Agreement by month and class" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Month"), Object.values(CLASSES).map((name) => h("th", { scope: "col", class: "number" }, name)))),
      h(
        "tbody",
        {},
        names.map((month) =>
          h("tr", {}, h("th", { scope: "row" }, MONTH.format(new Date(`${month}-15T12:00:00Z`))), Object.keys(CLASSES).map((label) => cell(month, label))),
        ),
      ),
    ),
  );
}

function correction({ label, corrected_to: to, count }) {
  return h("li", {}, `${CLASSES[label]} corrected to ${CLASSES[to].toLowerCase()}: ${count}`);
}
