// Dialogs on the browser's own `<dialog>`: focus stays inside and comes back, Escape closes.

import { words } from "./api.js";
import { h, newId, replace } from "./dom.js";

/**
 * A dialog with a title; resolves with what `close` was given. `build(close, hold)` gives its content:
 * while `hold(true)` counts, nothing but the end of the page closes it. `light`: a click beside it does.
 */
export function openDialog(title, build, { wide = false, light = true } = {}) {
  return new Promise((resolve) => {
    const id = newId("dialog");
    let result = null;
    let held = false;
    const ending = new AbortController();
    const close = (value = null) => {
      result = value;
      dialog.close();
    };
    const hold = (now) => {
      held = now;
    };
    const dialog = h(
      "dialog",
      { class: wide ? "wide" : "", "aria-labelledby": id },
      h("div", { class: "body" }, h("h2", { id }, title), build(close, hold)),
    );
    const keep = (event) => held && event.preventDefault();
    dialog.addEventListener("cancel", keep);
    // A browser lets only one `cancel` in a row be prevented; and a button that was disabled loses
    // the focus, so that the key reaches the document alone.
    const onKey = (event) => event.key === "Escape" && keep(event);
    document.addEventListener("keydown", onKey, { signal: ending.signal });
    dialog.addEventListener("close", () => {
      ending.abort();
      dialog.remove();
      resolve(result);
    });
    if (light) onClickBeside(dialog, () => !held && dialog.close());
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Closes what is open, as if nothing had been chosen: the page under it goes. */
export function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

/** Begun and ended beside the dialog: neither its padding nor the end of a selection. */
function onClickBeside(dialog, act) {
  let began = false;
  const isBeside = ({ target, clientX, clientY }) => {
    const box = dialog.getBoundingClientRect();
    const inside = clientX >= box.left && clientX <= box.right && clientY >= box.top && clientY <= box.bottom;
    return target === dialog && !inside;
  };
  dialog.addEventListener("pointerdown", (event) => {
    began = isBeside(event);
  });
  dialog.addEventListener("click", (event) => {
    if (began && isBeside(event)) act();
  });
}

/** A form in a dialog: `fields` are elements, `send(form)` does the work, its problem is shown. */
export function formDialog(title, fields, { action, send, danger = false }) {
  return openDialog(title, (close, hold) => {
    const problem = h("p", { class: "bad small", role: "alert" });
    const cancel = h("button", { type: "button", onclick: () => close() }, "Cancel");
    const button = h("button", { class: danger ? "danger" : "primary", type: "submit" }, action);
    // What is sent can't be called back, so that the dialog stays until it is answered.
    const setSending = (now) => {
      hold(now);
      cancel.disabled = now;
      button.disabled = now;
    };
    const form = h(
      "form",
      {
        onsubmit: async (event) => {
          event.preventDefault();
          setSending(true);
          replace(problem);
          try {
            close({ value: await send(form) });
          } catch (error) {
            replace(problem, words(error));
            setSending(false);
            if (!form.contains(document.activeElement)) button.focus();
          }
        },
      },
      fields,
      problem,
      h("div", { class: "row" }, cancel, button),
    );
    return form;
  });
}

/** Asks before something that can't be undone; true once it is done. */
export async function confirm(title, content, { action, send }) {
  const done = await formDialog(title, [h("div", {}, content)], { action, send, danger: true });
  return done !== null;
}
