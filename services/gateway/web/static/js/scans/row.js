// A scan in a line of a list.

import { h } from "../core/dom.js";
import { moment, shortId } from "../core/format.js";
import { answerWords, isFinal, STATES, TURNED_AWAY, wasTurnedAway } from "../core/words.js";

export function scanRow(scan) {
  return h(
    "li",
    {},
    h(
      "a",
      { href: `#/scans/${scan.id}` },
      h("img", { src: `/v1/scans/${scan.id}/thumbnail.webp`, alt: "", width: 48, height: 48, loading: "lazy" }),
      h(
        "span",
        { class: "what" },
        h("strong", { class: scan.state === "failed" ? "bad" : "" }, outcome(scan)),
        h("small", {}, scan.reference ?? `Scan ${shortId(scan.id)}`),
      ),
      h(
        "span",
        { class: "when" },
        !isFinal(scan.state) && h("small", { class: "running" }, STATES[scan.state]),
        h("small", {}, moment(scan.acquired_at ?? scan.created_at)),
      ),
    ),
  );
}

/** What came out, in a few words. */
export function outcome(scan) {
  if (scan.state === "failed") return "Failed";
  if (scan.state === "canceled" && !scan.classification) return "Canceled";
  if (!scan.classification) return STATES[scan.state];
  if (wasTurnedAway(scan)) return TURNED_AWAY;
  return answerWords(scan.classification);
}
