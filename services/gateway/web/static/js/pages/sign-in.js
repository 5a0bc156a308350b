// Signing in with a key. Signing in by link happens before any page is shown.

import { words } from "../core/api.js";
import { field, h, replace } from "../core/dom.js";
import { icon } from "../core/icons.js";
import { signIn } from "../core/session.js";

export function showSignInForm(main, { message, onSignedIn }) {
  document.title = "Sign in · NeuroScan";
  const key = h("input", { type: "password", name: "key", autocomplete: "off", required: true, spellcheck: "false" });
  const problem = h("p", { class: "bad small", role: "alert" });
  const button = h("button", { class: "primary", type: "submit" }, "Sign in");
  const form = h(
    "form",
    {
      class: "card",
      onsubmit: async (event) => {
        event.preventDefault();
        button.disabled = true;
        replace(problem);
        try {
          await signIn({ key: key.value.trim() });
          await onSignedIn();
        } catch (error) {
          button.disabled = false;
          replace(problem, words(error));
          key.focus();
        }
      },
    },
    h("h1", {}, "Sign in"),
    message && h("p", { class: "muted", role: "status" }, message),
    field("API key", key),
    problem,
    button,
    h(
      "p",
      { class: "small muted" },
      "Or open the link that ",
      h("code", {}, "neuroscan link"),
      " prints. On the machine that runs NeuroScan the key is in ",
      h("code", {}, "local.key"),
      " of its data folder.",
    ),
  );
  replace(main, h("div", { class: "sign-in" }, h("p", { class: "brand" }, icon("brand"), "NeuroScan"), form));
  key.focus();
}
