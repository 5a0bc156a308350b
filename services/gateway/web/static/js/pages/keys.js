// API keys: who may call. A key's secret is shown once.

import { get, post, remove } from "../core/api.js";
import { confirm, formDialog, openDialog } from "../core/dialog.js";
import { choice, field, h, replace } from "../core/dom.js";
import { day, moment } from "../core/format.js";
import { icon } from "../core/icons.js";
import { session } from "../core/session.js";
import { failureOf, waiting } from "../core/states.js";
import { say } from "../core/toast.js";
import { ROLES } from "../core/words.js";

const MEANINGS = [
  ["submitter", "Submitter: its own scans, no patients"],
  ["clinician", "Clinician: all scans, patients, reviews"],
  ["admin", "Administrator: keys, audit, what failed for good"],
];

export function show({ main, title }) {
  title("Keys");
  const ending = new AbortController();
  const place = h("section", { class: "card" }, waiting(60, 60, 60));
  const load = async () => {
    try {
      const { items } = await get("/v1/keys", { signal: ending.signal });
      replace(place, h("ul", { class: "lines" }, items.map((key) => line(key, load))));
    } catch (error) {
      if (!ending.signal.aborted) replace(place, failureOf(error, load));
    }
  };
  replace(
    main,
    h(
      "div",
      { class: "head" },
      h("h1", {}, "Keys"),
      h("div", { class: "actions" }, h("button", { class: "primary", type: "button", onclick: () => create(load) }, icon("plus"), "New key")),
    ),
    place,
  );
  load();
  return () => ending.abort();
}

function line(key, load) {
  const own = session()?.principal === `key:${key.id}`;
  const over = key.revoked_at ?? (key.expires_at && new Date(key.expires_at) < new Date() ? key.expires_at : null);
  const state = key.revoked_at
    ? `revoked ${day(key.revoked_at)}`
    : over
      ? `expired ${day(key.expires_at)}`
      : key.last_used_at
        ? `last used ${moment(key.last_used_at)}`
        : "never used";
  const expiry = key.expires_at && !over ? `, until ${day(key.expires_at)}` : "";
  return h(
    "li",
    {},
    h(
      "div",
      { class: over ? "line faint" : "line" },
      h("span", {}, h("strong", {}, key.name), h("small", {}, `${ROLES[key.role]} · id `, h("span", { class: "mono" }, key.id))),
      h(
        "span",
        { class: "end row" },
        h("small", {}, `${state}${expiry}${own ? " · this session" : ""}`),
        !over && h("button", { class: "danger", type: "button", "aria-label": `Revoke ${key.name}`, onclick: () => revoke(key, own, load) }, "Revoke"),
      ),
    ),
  );
}

async function create(load) {
  const name = h("input", { required: true, maxLength: 100, autocomplete: "off" });
  const role = choice(MEANINGS);
  const expires = h("input", { type: "date" });
  const done = await formDialog(
    "New key",
    [field("Name", name, "What the key is for, as in “pacs gateway”; never a person's name"), field("Role", role), field("Expires", expires, "Empty: never")],
    {
      action: "Create key",
      send: () =>
        post("/v1/keys", {
          name: name.value.trim(),
          role: role.value,
          expires_at: expires.value ? new Date(`${expires.value}T23:59:59`).toISOString() : null,
        }),
    },
  );
  if (!done) return;
  load();
  await openDialog(
    "The new key",
    (close) => [
      h("p", {}, "Copy it now: it is shown this once."),
      h("div", { class: "secret" }, h("code", {}, done.value.key)),
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", onclick: () => copy(done.value.key) }, "Copy"),
        h("button", { class: "primary", type: "button", onclick: () => close() }, "Done"),
      ),
    ],
    { light: false },
  );
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    say("The key was copied.");
  } catch {
    say("The browser does not allow copying here. Select the key and copy it.", { failed: true });
  }
}

async function revoke(key, own, load) {
  const done = await confirm(
    `Revoke ${key.name}?`,
    h("p", {}, `The key and its sessions end at once.${own ? " This page is signed in with it and ends, too." : ""}`),
    { action: "Revoke", send: () => remove(`/v1/keys/${key.id}`) },
  );
  if (done) await load();
}
