// Label, calibrated confidence, the prediction set in words, the four probabilities as bars.

import { h } from "../core/dom.js";
import { elapsed, oneOf, percent } from "../core/format.js";
import { CLASSES } from "../core/words.js";

export function verdict(scan) {
  const found = scan.classification;
  if (!found) return waiting(scan);
  if (scan.input_check && !scan.input_check.accepted) return turnedAway(found);
  return [
    h("h2", {}, "Classification"),
    h(
      "p",
      { class: "verdict" },
      h("strong", {}, CLASSES[found.label]),
      h("span", {}, percent(found.confidence)),
    ),
    h("p", { class: "set" }, setWords(found)),
    bars(found),
    h(
      "p",
      { class: "small faint" },
      found.calibrated
        ? `Calibrated confidence. Classified in ${elapsed(found.elapsed_ms)}.`
        : "The confidence is not calibrated.",
    ),
  ];
}

/** The network names a class for any picture: here it must not stand large. */
function turnedAway(found) {
  return [
    h("h2", {}, "Classification"),
    h("p", { class: "verdict" }, h("strong", {}, "Not a brain MRI slice")),
    h(
      "p",
      { class: "set" },
      `The network answers “${CLASSES[found.label].toLowerCase()}” with ${percent(found.confidence)}, as it must answer something. No class can be ruled out.`,
    ),
    bars(found),
    h("p", { class: "small faint" }, "Not calibrated: the network was not made for a picture like this one."),
  ];
}

/** The prediction set, as in "glioma or meningioma". */
export function setWords({ prediction_set: set, coverage }) {
  const names = set.map((label) => CLASSES[label].toLowerCase());
  const nominal = percent(coverage);
  if (set.length === Object.keys(CLASSES).length) return `At ${nominal} coverage no class can be ruled out.`;
  return ["At ", nominal, " coverage: ", h("b", {}, oneOf(names)), "."];
}

/** Four bars, the likeliest on top. */
export function bars({ label, probabilities }) {
  const sorted = Object.entries(probabilities).sort(([, a], [, b]) => b - a);
  return h(
    "dl",
    { class: "probabilities" },
    sorted.map(([name, share]) => {
      const fill = h("i");
      fill.style.width = `${100 * share}%`;
      return h(
        "div",
        { class: name === label ? "top" : "" },
        h("dt", {}, CLASSES[name]),
        h("dd", { class: "track", "aria-hidden": "true" }, fill),
        h("dd", {}, percent(share, 1)),
      );
    }),
  );
}

function waiting(scan) {
  const failed = scan.state === "failed" || scan.state === "canceled";
  return [
    h("h2", {}, "Classification"),
    h("p", { class: "verdict" }, h("strong", { class: "muted" }, failed ? "—" : "Waiting")),
    h(
      "p",
      { class: "set" },
      failed ? "The scan ended before it was classified." : "The network has not answered yet. This fills in by itself.",
    ),
    h(
      "dl",
      { class: "probabilities" },
      Object.values(CLASSES).map((name) =>
        h("div", {}, h("dt", {}, name), h("dd", { class: "track" }), h("dd", {}, "—")),
      ),
    ),
    h("p", { class: "small faint" }, "\u00a0"),
  ];
}
