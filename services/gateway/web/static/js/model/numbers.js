// A card's most asked-for numbers, from the bundle's metrics.

import { h } from "../core/dom.js";
import { percent } from "../core/format.js";
import { CLASSES } from "../core/words.js";

/** The part of the metrics that was measured on whole patients, or on the first split there is. */
export function mainSplit(metrics) {
  const splits = Object.entries(metrics).filter(([, each]) => each?.accuracy?.value !== undefined);
  const [name, found] = splits.find(([key]) => key === "patient") ?? splits[0] ?? [null, null];
  return found ? { name, ...found } : null;
}

export function numbers(card, facts) {
  const split = mainSplit(card.metrics);
  const key = facts && `${facts.explanation.method} ${facts.explanation.layer}`;
  const pointing = key ? card.metrics.maps?.pointing?.[key] : undefined;
  const dice = facts?.segmentation?.median_dice;
  const tiles = [];
  if (split) {
    const { value, low, high } = split.accuracy;
    const { slices, groups } = split.measured ?? {};
    tiles.push(tile(percent(value, 1), "accuracy", `${percent(low)} to ${percent(high)}; ${slices} slices in ${groups} groups that training never saw`));
  }
  if (split?.scaled) tiles.push(tile(split.scaled.ece.toFixed(3), "calibration error", `a perfect network would reach ${split.scaled.perfect_low.toFixed(3)} to ${split.scaled.perfect_high.toFixed(3)}`));
  if (pointing !== undefined) tiles.push(tile(percent(pointing), "map's peak inside the tumor", "annotated validation slices, this method and layer"));
  if (dice) tiles.push(tile(dice.toFixed(2), "median Dice, segmentation", "annotated validation slices"));
  return h("div", { class: "tiles-of-numbers" }, tiles);
}

function tile(value, name, note) {
  return h("div", { class: "card" }, h("strong", {}, value), h("span", {}, name), h("p", { class: "small faint" }, note));
}

/** Confusion of the main split: rows are the truth. */
export function confusion(card) {
  const split = mainSplit(card.metrics);
  const matrix = split?.confusion;
  if (!Array.isArray(matrix) || matrix.length !== 4) return null;
  const names = Object.values(CLASSES);
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "What it takes for what"),
    h(
      "div",
      { class: "scroll", tabIndex: 0, role: "group", "aria-label": "Confusion matrix" },
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, h("td", {}, "is \\ named"), names.map((name) => h("th", { scope: "col", class: "number" }, name)), h("th", { scope: "col", class: "number" }, "found"))),
        h(
          "tbody",
          {},
          matrix.map((row, at) => {
            const all = row.reduce((sum, count) => sum + count, 0);
            return h(
              "tr",
              {},
              h("th", { scope: "row" }, names[at]),
              row.map((count, column) => h("td", { class: "number" }, column === at ? h("strong", {}, count) : count || "·")),
              h("td", { class: "number" }, all ? percent(row[at] / all) : "—"),
            );
          }),
        ),
      ),
    ),
  );
}
