// The reader's own verdict: agree, correct to another class, a comment.

import { put, words } from "../core/api.js";
import { choice, field, h, replace } from "../core/dom.js";
import { moment } from "../core/format.js";
import { may, session } from "../core/session.js";
import { say } from "../core/toast.js";
import { CLASSES, wasTurnedAway } from "../core/words.js";

/** The card's content for a scan; `onSaved(scan)` after a verdict was kept. */
export function review(scan, { onSaved }) {
  return [h("h2", {}, "Reader's verdict"), given(scan), may("clinician") && form(scan, onSaved)];
}

function given(scan) {
  const found = scan.review;
  if (!found) return !may("clinician") && h("p", { class: "muted" }, "Nobody has reviewed this scan yet.");
  const who = found.principal === session()?.principal ? "you" : found.principal;
  return h(
    "div",
    { class: "given" },
    h("strong", {}, verdictWords(scan)),
    found.comment && h("p", { dir: "auto" }, found.comment),
    h("small", { class: "faint" }, `by ${who}, ${moment(found.at)}`),
  );
}

/** Where the input check turned the picture away there is no class to agree with. */
function verdictWords(scan) {
  const { agrees, label } = scan.review;
  const name = CLASSES[label].toLowerCase();
  if (wasTurnedAway(scan)) return `Reads it as ${name}`;
  return agrees ? `Agrees: ${name}` : `Corrected to ${name}`;
}

function form(scan, onSaved) {
  const label = scan.classification?.label;
  if (!label) return h("p", { class: "muted" }, "A verdict can be given once the scan is classified.");
  const away = wasTurnedAway(scan);
  const others = Object.entries(CLASSES).filter(([name]) => away || name !== label);
  const comment = h("textarea", { maxLength: 4000, dir: "auto", rows: 2 });
  const problem = h("p", { class: "bad small", role: "alert" });
  const question = away ? "Read it as" : "Correct to";
  const other = choice([["", `${question} …`], ...others], { "aria-label": question });
  const agree = away ? null : h("button", { type: "submit" }, `Agree: ${CLASSES[label].toLowerCase()}`);
  const save = h("button", { type: "submit", disabled: true }, away ? "Save verdict" : "Save correction");
  const setSending = (now) => {
    if (agree) agree.disabled = now;
    save.disabled = now || other.value === "";
  };
  other.addEventListener("change", () => setSending(false));
  const send = async (event) => {
    event.preventDefault();
    const chosen = event.submitter === save ? other.value : label;
    setSending(true);
    replace(problem);
    try {
      const body = { label: chosen, agrees: chosen === label, comment: comment.value.trim() };
      const saved = await put(`/v1/scans/${scan.id}/review`, body);
      say("Your verdict is kept.");
      onSaved(saved);
    } catch (error) {
      replace(problem, words(error));
      setSending(false);
    }
  };
  return h(
    "form",
    { class: "review", onsubmit: send },
    away && h("p", { class: "muted" }, "The input check turned the picture away, so there is no class to agree with."),
    field("Comment", comment),
    h("div", { class: "row" }, agree, other, save),
    problem,
  );
}
