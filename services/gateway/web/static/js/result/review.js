// The reader's own verdict: agree, correct to another class, a comment.

import { put, words } from "../core/api.js";
import { choice, field, h, replace } from "../core/dom.js";
import { moment } from "../core/format.js";
import { may, session } from "../core/session.js";
import { say } from "../core/toast.js";
import { CLASSES } from "../core/words.js";

/** The card's content for a scan; `onSaved(scan?)` after a verdict was kept. */
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
    h("strong", {}, found.agrees ? `Agrees: ${CLASSES[found.label].toLowerCase()}` : `Corrected to ${CLASSES[found.label].toLowerCase()}`),
    found.comment && h("p", { dir: "auto" }, found.comment),
    h("small", { class: "faint" }, `by ${who}, ${moment(found.at)}`),
  );
}

function form(scan, onSaved) {
  const label = scan.classification?.label;
  if (!label) return h("p", { class: "muted" }, "A verdict can be given once the scan is classified.");
  const others = Object.entries(CLASSES).filter(([name]) => name !== label);
  const comment = h("textarea", { maxLength: 4000, dir: "auto", rows: 2 });
  const problem = h("p", { class: "bad small", role: "alert" });
  const correct = choice([["", "Correct to …"], ...others], { "aria-label": "Correct to" });
  const agree = h("button", { type: "submit", value: "agree" }, `Agree: ${CLASSES[label].toLowerCase()}`);
  const save = h("button", { type: "submit", value: "correct", disabled: true }, "Save correction");
  correct.addEventListener("change", () => {
    save.disabled = correct.value === "";
  });
  return h(
    "form",
    {
      class: "review",
      onsubmit: async (event) => {
        event.preventDefault();
        const agrees = event.submitter !== save;
        const body = { label: agrees ? label : correct.value, agrees, comment: comment.value.trim() };
        agree.disabled = true;
        save.disabled = true;
        replace(problem);
        try {
          await put(`/v1/scans/${scan.id}/review`, body);
          say("Your verdict is kept.");
          await onSaved();
        } catch (error) {
          replace(problem, words(error));
          agree.disabled = false;
          save.disabled = correct.value === "";
        }
      },
    },
    field("Comment", comment),
    h("div", { class: "row" }, agree, correct, save),
    problem,
  );
}
