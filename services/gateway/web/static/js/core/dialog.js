// Dialogs on the browser's own `<dialog>`: focus stays inside and comes back, Escape closes.

import { words } from "./api.js";
import { h, newId, replace } from "./dom.js";

/** A dialog with a title. `build(close)` gives its content; resolves with what `close` was given. */
export function openDialog(title, build, { wide = false } = {}) {
  return new Promise((resolve) => {
    const id = newId("dialog");
    let result = null;
    const close = (value = null) => {
      result = value;
      dialog.close();
    };
    const dialog = h(
      "dialog",
      { class: wide ? "wide" : "", "aria-labelledby": id },
      h("div", { class: "body" }, h("h2", { id }, title), build(close)),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A form in a dialog: `fields` are elements, `send(form)` does the work, its problem is shown. */
export function formDialog(title, fields, { action, send, danger = false }) {
  return openDialog(title, (close) => {
    const problem = h("p", { class: "bad small", role: "alert" });
    const button = h("button", { class: danger ? "danger" : "primary", type: "submit" }, action);
    const form = h(
      "form",
      {
        onsubmit: async (event) => {
          event.preventDefault();
          button.disabled = true;
          replace(problem);
          try {
            close({ value: await send(form) });
          } catch (error) {
            replace(problem, words(error));
            button.disabled = false;
          }
        },
      },
      fields,
      problem,
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", onclick: () => close() }, "Cancel"),
        button,
      ),
    );
    return form;
  });
}

/** Asks before something that can't be undone; true once it is done. */
export async function confirm(title, content, { action, send }) {
  const done = await formDialog(title, [h("div", {}, content)], { action, send, danger: true });
  return done !== null;
}
