// A batch's files as tiles: failures on top with their reason, then as sorted and filtered.

import { h, replace } from "../core/dom.js";
import { sentence } from "../core/format.js";
import { answerWords, STATES, TURNED_AWAY } from "../core/words.js";

const SORTS = {
  sent: (a, b) => a.position - b.position,
  name: (a, b) => a.file.localeCompare(b.file, undefined, { numeric: true }),
  // What has no class comes last.
  label: (a, b) =>
    !labelOf(a) - !labelOf(b) || (labelOf(a) ?? "").localeCompare(labelOf(b) ?? "") || confidenceOf(b) - confidenceOf(a),
  unsure: (a, b) => confidenceOf(a) - confidenceOf(b),
};

export const SORT_WORDS = [
  ["sent", "As sent"],
  ["name", "File name"],
  ["label", "Class, surest first"],
  ["unsure", "Least sure first"],
];

export function isFailed(item) {
  return item.state === "failed" || item.state === "refused";
}

/** The tiles of a batch; `show(items, { sort, filter })` keeps those that have not changed. */
export function grid() {
  const element = h("ul", { class: "tiles" });
  const kept = new Map();
  const tileOf = (item) => {
    const key = JSON.stringify([
      item.state,
      item.label,
      item.confidence,
      item.prediction_set,
      item.input_accepted,
      item.problem?.detail,
      item.scan_id,
    ]);
    const known = kept.get(item.position);
    if (known?.key === key) return known.tile;
    const tile = draw(item);
    kept.set(item.position, { key, tile });
    return tile;
  };
  const show = (items, { sort, filter }) => {
    const chosen = items.filter((item) => fits(item, filter));
    const order = SORTS[sort];
    chosen.sort((a, b) => isFailed(b) - isFailed(a) || order(a, b));
    const tiles = chosen.map(tileOf);
    const same = tiles.length === element.children.length && tiles.every((tile, index) => tile === element.children[index]);
    if (!same) replace(element, tiles);
    return chosen.length;
  };
  return { element, show };
}

function fits(item, filter) {
  if (filter === "") return true;
  if (filter === "failed") return isFailed(item);
  if (filter === "running") return !isFailed(item) && item.state !== "completed" && item.state !== "canceled";
  if (filter === "turned-away") return isTurnedAway(item);
  return labelOf(item) === filter;
}

function isTurnedAway(item) {
  return item.input_accepted === false;
}

/** The class that counts: none of a picture that the input check turned away. */
function labelOf(item) {
  return isTurnedAway(item) ? null : item.label;
}

function confidenceOf(item) {
  return isTurnedAway(item) ? -1 : (item.confidence ?? -1);
}

function draw(item) {
  const failed = isFailed(item);
  const content = [
    h(
      "span",
      { class: "frame" },
      item.scan_id
        ? h("img", { src: `/v1/scans/${item.scan_id}/thumbnail.webp`, alt: "", loading: "lazy", width: 160, height: 160 })
        : h("span", { class: "none" }, "no picture"),
    ),
    h(
      "span",
      { class: "body" },
      h("strong", {}, headline(item)),
      h("small", { class: "file", title: item.file }, item.file),
      failed
        ? h("small", {}, sentence(item.problem?.detail ?? item.problem?.title ?? "See the scan."))
        : item.state !== "completed" && h("small", { class: "running" }, STATES[item.state]),
    ),
  ];
  const inner = item.scan_id ? h("a", { href: `#/scans/${item.scan_id}` }, content) : h("div", {}, content);
  return h("li", { class: failed ? "tile bad" : "tile" }, inner);
}

function headline(item) {
  if (isFailed(item)) return item.problem?.title?.replace(/\.$/, "") ?? "Failed";
  if (isTurnedAway(item)) return TURNED_AWAY;
  if (!item.label) return item.state === "canceled" ? "Canceled" : "Waiting";
  return answerWords(item);
}
