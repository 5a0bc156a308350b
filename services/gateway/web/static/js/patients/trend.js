// The trend of area and confidence over time, as a drawing and as a table.

import { h, svg } from "../core/dom.js";
import { day, number, percent } from "../core/format.js";
import { classWords } from "../core/words.js";

// Drawn in its own units and scaled to the card: fewer on a phone keep the letters readable.
const WIDTH = matchMedia("(max-width: 560px)").matches ? 330 : 620;
const ROOM = { left: 52, right: 16, top: 14, bottom: 26 };
const PANEL = 124;
const GAP = 34;

export function trendCard({ plane, points, note }) {
  if (points.length < 2) {
    return h(
      "section",
      { class: "card" },
      h("h2", {}, "Trend"),
      h("p", { class: "muted" }, "Two completed scans of one plane make a trend."),
    );
  }
  return h(
    "section",
    { class: "card trend" },
    h("h2", {}, `Trend${plane ? `, ${plane} slices` : ""}`),
    drawing(points),
    h("p", { class: "small faint" }, note),
    h("details", {}, h("summary", { class: "small muted" }, "As a table"), table(points)),
  );
}

function drawing(points) {
  const times = points.map((point) => Date.parse(point.at));
  const [first, last] = [times[0], times.at(-1)];
  const x = (time) =>
    last === first
      ? (ROOM.left + WIDTH - ROOM.right) / 2
      : ROOM.left + ((time - first) / (last - first)) * (WIDTH - ROOM.left - ROOM.right);
  const areas = points.map((point) => point.area_mm2).filter((area) => area !== null);
  const top = niceTop(Math.max(...areas, 1));
  const panels = [
    panel(0, "Area, mm²", points.map((point) => point.area_mm2), top, (value) => number(value), times, x, whyNoArea(points)),
    panel(1, "Confidence", points.map((point) => point.confidence), 1, (value) => percent(value), times, x),
  ];
  const height = ROOM.top + 2 * PANEL + GAP + ROOM.bottom;
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": summary(points), class: "chart" },
    panels,
    svg("text", { x: ROOM.left, y: height - 6 }, day(points[0].at)),
    svg("text", { x: WIDTH - ROOM.right, y: height - 6, "text-anchor": "end" }, day(points.at(-1).at)),
  );
}

function panel(index, title, values, top, write, times, x, whyNone = "") {
  const base = ROOM.top + index * (PANEL + GAP) + PANEL;
  const y = (value) => base - (value / top) * (PANEL - 30);
  const known = values.flatMap((value, at) => (value === null ? [] : [[x(times[at]), y(value), value]]));
  return svg(
    "g",
    {},
    svg("text", { x: 0, y: base - PANEL + 10, class: "title" }, title),
    [0, top / 2, top].map((value) => [
      svg("path", { d: `M${ROOM.left} ${y(value)}H${WIDTH - ROOM.right}`, class: "grid" }),
      svg("text", { x: ROOM.left - 8, y: y(value) + 4, "text-anchor": "end" }, write(value)),
    ]),
    svg("path", { d: known.map(([px, py], at) => `${at ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join(""), class: "line" }),
    known.map(([px, py, value]) => svg("circle", { cx: px, cy: py, r: 4, class: "point" }, svg("title", {}, write(value)))),
    known.length === 0 && svg("text", { x: ROOM.left + 8, y: base - PANEL / 3 }, whyNone),
  );
}

/** Why no point has an area, where that is so. */
function whyNoArea(points) {
  if (points.every((point) => point.label === "no_tumor")) return "All are classified as no tumor, so no area.";
  return "No area: it takes a stated spacing and a marked region.";
}

function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

function summary(points) {
  const [first, last] = [points[0], points.at(-1)];
  const area = (point) => {
    if (point.label === "no_tumor") return "no tumor";
    return point.area_mm2 === null ? "area unknown" : `${number(point.area_mm2)} square millimeters`;
  };
  return `${points.length} scans from ${day(first.at)} to ${day(last.at)}: from ${area(first)} to ${area(last)}. The table below has all values.`;
}

function table(points) {
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ["Date", "Class", "Confidence", "Area, mm²"].map((text) => h("th", { scope: "col" }, text)))),
    h(
      "tbody",
      {},
      points.map((point) =>
        h(
          "tr",
          {},
          h("td", {}, h("a", { href: `#/scans/${point.scan_id}` }, day(point.at))),
          h("td", {}, classWords(point)),
          h("td", {}, percent(point.confidence)),
          h("td", {}, number(point.area_mm2)),
        ),
      ),
    ),
  );
}
