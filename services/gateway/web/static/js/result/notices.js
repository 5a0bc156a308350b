// What has to be read first: the input check, what failed, what does not fit together.

import { h } from "../core/dom.js";
import { sentence } from "../core/format.js";
import { icon } from "../core/icons.js";
import { failure } from "../core/states.js";

const STAGES = {
  classify: "The classification failed.",
  explain: "The heat map failed.",
  measure: "The measurement failed.",
  report: "The report failed.",
};

export function notices(scan, { onRetry }) {
  const found = [];
  if (scan.input_check && !scan.input_check.accepted) {
    found.push(
      warning(
        "The input check turned this picture away.",
        `${sentence(scan.input_check.message)} Read nothing into what follows; send a single T1-weighted slice instead.`,
      ),
    );
  }
  for (const stage of scan.stages) {
    if (stage.state !== "failed") continue;
    const text = sentence(stage.problem?.detail ?? stage.problem?.title ?? "It was tried three times.");
    const kept = "What was made before it stays.";
    const retry = onRetry && h("button", { onclick: onRetry }, "Try again");
    found.push(failure(STAGES[stage.name], `${text} ${kept}`, ...(retry ? [retry] : [])));
  }
  if (scan.state === "canceled") found.push(warning("This scan was canceled.", "What was made before stays."));
  if (scan.explanation?.disagreement) found.push(warning("Not everything fits together.", sentence(scan.explanation.disagreement)));
  if (scan.duplicate_of) {
    found.push(
      h(
        "div",
        { class: "message" },
        icon("help"),
        h("div", {}, "The very same picture was sent before: ", h("a", { href: `#/scans/${scan.duplicate_of}` }, "the first scan of it"), "."),
      ),
    );
  }
  return found;
}

function warning(title, text) {
  return h(
    "div",
    { class: "message warn", role: "note" },
    icon("warning"),
    h("div", {}, h("strong", {}, title), text),
  );
}
