// The header: name, sections, the server's light, theme and account.

import { h, replace } from "../core/dom.js";
import { icon } from "../core/icons.js";
import { signOut } from "../core/session.js";
import { isDark, toggleTheme } from "../core/theme.js";
import { say } from "../core/toast.js";
import { ROLES } from "../core/words.js";
import { words } from "../core/api.js";
import "./status.js";

class Header extends HTMLElement {
  #links = new Map();
  #shownFor = null;

  /** The sections, which of them is open, and who is signed in (null: nobody). */
  show(sections, current, session) {
    const key = `${session?.principal} ${sections.length}`;
    if (key !== this.#shownFor) this.#build(sections, session);
    this.#shownFor = key;
    for (const [path, link] of this.#links) {
      const open = current === path || current.startsWith(`${path}/`);
      if (open) {
        link.setAttribute("aria-current", "page");
        // On a phone the sections scroll sideways.
        link.scrollIntoView({ block: "nearest", inline: "nearest" });
      }
      else link.removeAttribute("aria-current");
    }
  }

  #build(sections, session) {
    this.#links = new Map(
      sections.map(({ path, words: text }) => [path, h("a", { href: `#${path}` }, text)]),
    );
    replace(
      this,
      h(
        "header",
        {},
        h("a", { class: "brand", href: "#/analyze" }, icon("brand"), "NeuroScan"),
        sections.length > 0 && h("nav", { "aria-label": "Main" }, [...this.#links.values()]),
        h(
          "div",
          { class: "account" },
          session && h("ns-status"),
          themeButton(),
          session && signOutButton(session),
        ),
      ),
    );
  }
}

function themeButton() {
  const button = h("button", { class: "quiet icon-button", type: "button" });
  const show = () => {
    const words = isDark() ? "Light colors" : "Dark colors";
    button.setAttribute("aria-label", words);
    button.title = words;
    replace(button, icon(isDark() ? "sun" : "moon"));
  };
  button.addEventListener("click", () => {
    toggleTheme();
    show();
  });
  show();
  return button;
}

function signOutButton(session) {
  const text = `Sign out (${ROLES[session.role].toLowerCase()})`;
  return h(
    "button",
    {
      class: "quiet icon-button",
      type: "button",
      "aria-label": text,
      title: text,
      onclick: async () => {
        try {
          await signOut();
          dispatchEvent(new Event("neuroscan:signed-out"));
        } catch (error) {
          say(words(error), { failed: true });
        }
      },
    },
    icon("leave"),
  );
}

customElements.define("ns-header", Header);
