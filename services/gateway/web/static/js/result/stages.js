// The four stages and how far each has come, by sign and word.

import { h } from "../core/dom.js";
import { elapsed } from "../core/format.js";
import { icon } from "../core/icons.js";

const DONE = { classify: "classified", explain: "explained", measure: "measured", report: "reported" };
const DOING = { classify: "classifying", explain: "explaining", measure: "measuring", report: "writing the report" };
const NOT_DONE = { classify: "classify", explain: "explain", measure: "measure", report: "report" };

export function stages(scan) {
  return scan.stages.map((stage) => {
    const { sign, words } = look(stage);
    return h("li", { class: `stage ${stage.state}` }, sign, words);
  });
}

function look(stage) {
  const tries = stage.attempt > 1 ? `, try ${stage.attempt}` : "";
  switch (stage.state) {
    case "done":
      return { sign: icon("check"), words: `${DONE[stage.name]}${took(stage)}` };
    case "failed":
      return { sign: icon("close"), words: `${NOT_DONE[stage.name]} failed${tries}` };
    case "running":
      return { sign: dot(), words: `${DOING[stage.name]}${tries}` };
    case "canceled":
      return { sign: dot(), words: `${NOT_DONE[stage.name]} canceled` };
    default:
      return { sign: dot(), words: NOT_DONE[stage.name] };
  }
}

function took(stage) {
  if (!stage.started_at || !stage.finished_at) return "";
  const ms = new Date(stage.finished_at) - new Date(stage.started_at);
  return ms >= 0 ? ` ${elapsed(ms)}` : "";
}

function dot() {
  return h("i", { class: "dot", "aria-hidden": "true" });
}
