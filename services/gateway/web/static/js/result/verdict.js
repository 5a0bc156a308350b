// Label, calibrated confidence, the prediction set in words, the four probabilities as bars.

import { h } from "../core/dom.js";
import { elapsed, oneOf, percent } from "../core/format.js";
import { answers, CLASSES, classWords, isFinal, TURNED_AWAY, wasTurnedAway } from "../core/words.js";

export function verdict(scan) {
  const found = scan.classification;
  if (!found) return waiting(scan);
  if (wasTurnedAway(scan)) return turnedAway(found);
  return [
    h("h2", {}, "Classification"),
    headline(found),
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

/** As large as the prediction set allows: "Meningioma 51 % or pituitary 46 %". */
function headline(found) {
  const parts = answers(found).map(({ name, share }) =>
    h("span", { class: "answer" }, h("strong", {}, name), " ", share),
  );
  if (parts.length === 0) {
    const likeliest = `Likeliest: ${CLASSES[found.label].toLowerCase()} ${percent(found.confidence)}`;
    return h("p", { class: "verdict" }, h("strong", {}, classWords(found)), " ", h("small", {}, likeliest));
  }
  const between = (index) => (index === 0 ? "" : index === parts.length - 1 ? " or " : ", ");
  return h("p", { class: "verdict" }, parts.map((part, index) => [between(index), part]));
}

/** The network names a class for any picture: here it must not stand large. */
function turnedAway(found) {
  return [
    h("h2", {}, "Classification"),
    h("p", { class: "verdict" }, h("strong", {}, TURNED_AWAY)),
    h(
      "p",
      { class: "set" },
      `The network answers “${CLASSES[found.label].toLowerCase()}” with ${percent(found.confidence)}, as it must answer something. No class can be ruled out.`,
    ),
    bars(found),
    h("p", { class: "small faint" }, "Not calibrated: the network was not made for a picture like this one."),
  ];
}

/** The prediction set in a sentence, as in the report. */
export function setWords(found) {
  const names = answers(found).map(({ name }) => name.toLowerCase());
  return [`At ${percent(found.coverage)} coverage (nominal): `, h("b", {}, oneOf(names) || "any of the four classes"), "."];
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
  const failed = isFinal(scan.state);
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
