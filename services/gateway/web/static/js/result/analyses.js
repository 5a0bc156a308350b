// Later analyses of the same slice, beside the first: another model may say something else.

import { get, post, words } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { moment, percent } from "../core/format.js";
import { say } from "../core/toast.js";
import { CLASSES, isFinal } from "../core/words.js";
import { setWords } from "./verdict.js";

const LOOK_EVERY_MS = 800;
const OVER = ["done", "failed", "canceled"];

/** Shows what there is in `place`; returns what asks for another analysis. */
export function analyses(place, scan, signal) {
  const path = `/v1/scans/${scan.id}`;
  const load = async () => {
    const { items } = await get(`${path}/analyses`, { signal });
    if (items.length > 0) replace(place, card(scan, items));
    if (items.some((each) => !OVER.includes(each.state))) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      if (!signal.aborted) await load();
    }
  };
  const quietly = async () => {
    try {
      await load();
    } catch {
      // What is shown stays; the next look tries again.
    }
  };
  if (isFinal(scan.state)) quietly();
  return async () => {
    try {
      await post(`${path}/reanalyze`);
      say("The slice is being analyzed again. The result will stand below.");
      await load();
    } catch (error) {
      if (!signal.aborted) say(words(error), { failed: true });
    }
  };
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
        h("tbody", {}, row(scan.model, scan.classification, scan.created_at, "this scan"), items.map((each) => row(each.model, each.classification, each.created_at, each.state))),
      ),
    ),
  );
}

function row(model, found, at, state) {
  return h(
    "tr",
    {},
    h("td", {}, model ? `${model.name} ${model.version}` : "—"),
    h("td", {}, found ? `${CLASSES[found.label]} ${percent(found.confidence)}` : state),
    h("td", {}, found ? setWords(found) : "—"),
    h("td", {}, moment(at)),
  );
}
