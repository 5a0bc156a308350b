// Later analyses of the same slice, beside the first: another model may say something else.

import { get, isRefusal, post, words } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { moment } from "../core/format.js";
import { say } from "../core/toast.js";
import { answerWords, isFinal, TURNED_AWAY, wasTurnedAway } from "../core/words.js";
import { setWords } from "./verdict.js";

const LOOK_EVERY_MS = 800;
const AFTER_FAILURE_MS = 4000;
const OVER = ["done", "failed", "canceled"];

/** Shows what there is in `place`; `ask()` asks for another, `update(scan)` keeps the scan's own row. */
export function analyses(place, first, signal) {
  const path = `/v1/scans/${first.id}`;
  let scan = first;
  let items = [];
  let shown = null;
  let looking = false;
  let again = false;
  const draw = () => {
    const key = JSON.stringify([items, scan.classification, scan.input_check, scan.model]);
    if (items.length > 0 && key !== shown) replace(place, card(scan, items));
    shown = key;
  };
  /** Looks; the time until the next look is worth it, or null when all are over. */
  const look = async () => {
    try {
      items = (await get(`${path}/analyses`, { signal })).items;
      draw();
    } catch (error) {
      return isRefusal(error) ? null : AFTER_FAILURE_MS;
    }
    return again || items.some((each) => !OVER.includes(each.state)) ? LOOK_EVERY_MS : null;
  };
  const follow = async () => {
    again = looking;
    if (looking) return;
    looking = true;
    for (let pause = await look(); pause !== null && !signal.aborted; pause = await look()) {
      again = false;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    looking = false;
  };
  const ask = async () => {
    try {
      const asked = await post(`${path}/reanalyze`);
      say("The slice is being analyzed again. The result will stand below.");
      items = [asked, ...items];
      draw();
      await follow();
    } catch (error) {
      if (!signal.aborted) say(words(error), { failed: true });
    }
  };
  const update = (now) => {
    scan = now;
    draw();
  };
  if (isFinal(scan.state)) follow();
  return { ask, update };
}

function card(scan, items) {
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Later analyses"),
    h(
      "div",
      { class: "scroll", tabIndex: 0, role: "group", "aria-label": "Later analyses" },
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ["Model", "Class", "Prediction set", "Asked for"].map((text) => h("th", { scope: "col" }, text)))),
        h("tbody", {}, row(scan, "this scan"), items.map((each) => row(each))),
      ),
    ),
  );
}

function row(analysis, note) {
  const { model, classification: found, created_at: at, state } = analysis;
  const away = wasTurnedAway(analysis);
  const answer = away ? TURNED_AWAY : found && answerWords(found);
  return h(
    "tr",
    {},
    h("td", {}, model ? `${model.name} ${model.version}` : "—", note && h("small", { class: "muted" }, ` (${note})`)),
    h("td", {}, answer ?? state),
    h("td", {}, found && !away ? setWords(found) : "—"),
    h("td", {}, moment(at)),
  );
}
