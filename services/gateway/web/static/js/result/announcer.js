// Says the result once to those who don't see it come.

import { h, setText } from "../core/dom.js";
import { classWords, isFinal, STATES, TURNED_AWAY, wasTurnedAway } from "../core/words.js";

// A region that comes with its text is not read out.
const LATER_MS = 150;

/** A hidden region, with `update(scan)` at each change. */
export function announcer() {
  const element = h("p", { class: "visually-hidden", role: "status" });
  const said = new Set();
  const update = (scan) => {
    const news = facts(scan).filter((text) => !said.has(text));
    if (news.length === 0) return;
    for (const text of news) said.add(text);
    setTimeout(() => setText(element, news.join(" ")), LATER_MS);
  };
  return { element, update };
}

function facts(scan) {
  return [scan.classification && answerOf(scan), isFinal(scan.state) && `${STATES[scan.state]}.`].filter(Boolean);
}

function answerOf(scan) {
  if (wasTurnedAway(scan)) return `${TURNED_AWAY}.`;
  return `Classified: ${classWords(scan.classification).toLowerCase()}.`;
}
