// The page's few signs, drawn on a grid of 16.

import { svg } from "./dom.js";

const PATHS = {
  brand: null,
  upload: "M8 11V2.5M4.5 6 8 2.5 11.5 6M2.5 10.5v3h11v-3",
  download: "M8 2.5V11M4.5 7.5 8 11l3.5-3.5M2.5 11v2.5h11V11",
  failed: "M8 4.5v4.2M8 11.2v.1M8 1.8 15 14H1z",
  warning: "M8 4.5v4.2M8 11.2v.1M8 1.8 15 14H1z",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  check: "M2.5 8.5 6.3 12 13.5 4",
  chevron: "M6 3.5 10.5 8 6 12.5",
  moon: "M13.5 9.6A6 6 0 0 1 6.4 2.5a6 6 0 1 0 7.1 7.1z",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 .8v1.6M8 13.6v1.6M.8 8h1.6M13.6 8h1.6M2.9 2.9l1.1 1.1M12 12l1.1 1.1M2.9 13.1 4 12M12 4l1.1-1.1",
  leave: "M6.5 2.5h-4v11h4M10 4.8 13.2 8 10 11.2M13 8H6",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.4 10.4 14 14",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  pan: "M8 1.5v13M1.5 8h13M8 1.5 6 3.6M8 1.5l2 2.1M8 14.5l-2-2.1M8 14.5l2-2.1M1.5 8l2.1-2M1.5 8l2.1 2M14.5 8l-2.1-2M14.5 8l-2.1 2",
  window: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 2v12M8 5h5.2M8 8h6M8 11h5.2",
  ruler: "M1.5 11 11 1.5 14.5 5 5 14.5zM4 8.5l1.5 1.5M6.2 6.3l1 1M8.4 4.1l1.5 1.5",
  fit: "M2 5.5V2h3.5M10.5 2H14v3.5M14 10.5V14h-3.5M5.5 14H2v-3.5",
  help: "M5.8 6a2.2 2.2 0 1 1 3.3 1.9c-.8.5-1.1.9-1.1 1.8M8 12.2v.1M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2z",
  save: "M8 2.5V10M5 7l3 3 3-3M2.5 13.5h11",
};

export function icon(name) {
  if (name === "brand") return brand();
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("path", {
      d: PATHS[name],
      fill: "none",
      stroke: "currentColor",
      "stroke-width": "1.5",
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
    }),
  );
}

function brand() {
  return svg(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "1.6", "aria-hidden": "true" },
    svg("circle", { cx: 12, cy: 12, r: 9.2 }),
    svg("path", {
      d: "M12 3v18M5.6 8.2c2.6.2 3.8 1.6 3.8 3.8s-1.2 3.6-3.8 3.8M18.4 8.2c-2.6.2-3.8 1.6-3.8 3.8s1.2 3.6 3.8 3.8",
    }),
  );
}

/** The shape of a standing: ● measured, △ estimated, ⬚ surrogate, ✕ not assessable. */
export function standingShape(status) {
  const line = { fill: "none", stroke: "currentColor", "stroke-width": "1.5" };
  const shapes = {
    measured: () => svg("circle", { cx: 5, cy: 5, r: 4.2, fill: "currentColor" }),
    estimated: () => svg("path", { d: "M5 1.2 9.2 9H.8z", ...line }),
    surrogate: () => svg("path", { d: "M1 1h8v8H1z", ...line, "stroke-dasharray": "2 1.4" }),
    not_assessable: () => svg("path", { d: "M1.2 1.2l7.6 7.6M8.8 1.2 1.2 8.8", ...line }),
  };
  return svg("svg", { class: "shape", viewBox: "0 0 10 10", "aria-hidden": "true" }, shapes[status]());
}
