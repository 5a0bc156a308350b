// What has to be read first: the input check, what failed, what does not fit together.

import { h } from "../core/dom.js";
import { percent, sentence } from "../core/format.js";
import { icon } from "../core/icons.js";
import { failure } from "../core/states.js";
import { wasTurnedAway } from "../core/words.js";

const STAGES = {
  classify: "The classification failed.",
  explain: "The heat map failed.",
  measure: "The measurement failed.",
  report: "The report failed.",
};

/** The notices, with `update(scan)`: what stands already stays, so that it is not read out again. */
export function notices({ onRetry }) {
  const element = h("div", { class: "notices", "aria-live": "polite" });
  const update = (scan) => {
    const before = [...element.children];
    const now = messages(scan, onRetry).map(
      (message) => before.find((each) => each.textContent === message.textContent) ?? message,
    );
    for (const each of before) if (!now.includes(each)) each.remove();
    now.forEach((each, index) => {
      const there = element.children[index] ?? null;
      if (each !== there) element.insertBefore(each, there);
    });
  };
  return { element, update };
}

function messages(scan, onRetry) {
  const found = [];
  if (wasTurnedAway(scan)) {
    found.push(
      warning(
        "The input check turned this picture away.",
        `${sentence(scan.input_check.message)} Read nothing into what follows; send a single T1-weighted slice instead.`,
      ),
    );
  }
  if (!wasTurnedAway(scan) && tumorIsOpen(scan.classification)) {
    found.push(warning(`Whether there is a tumor at all is not settled at ${percent(scan.classification.coverage)} coverage (nominal).`, ""));
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

/** Whether the prediction set holds "no tumor" and a tumor. */
function tumorIsOpen(found) {
  return found !== null && found.prediction_set.length > 1 && found.prediction_set.includes("no_tumor");
}

function warning(title, text) {
  return h(
    "div",
    { class: "message warn", role: "note" },
    icon("warning"),
    h("div", {}, h("strong", {}, title), text),
  );
}
