// Addresses after the `#`, so that no path of the page ever reaches the server or its logs.

import { closeDialogs } from "./dialog.js";
import { h, replace } from "./dom.js";
import { focusHeading } from "./focus.js";
import { failure } from "./states.js";

const routes = [];
let leave = null;
let turn = 0;

/** `pattern` as in `/scans/:id`; `load` gives a module whose `show(place)` returns a clean-up. */
export function route(pattern, load, options = {}) {
  const names = [];
  const source = pattern.replace(/:(\w+)/g, (_, name) => {
    names.push(name);
    return "([^/]+)";
  });
  routes.push({ test: new RegExp(`^${source}$`), names, load, ...options });
}

export function go(path) {
  location.hash = `#${path}`;
}

export function path() {
  return location.hash.startsWith("#/") ? location.hash.slice(1).split("?")[0] : "/analyze";
}

/** Shows what the address names. `first`: the focus stays where the browser put it. */
export async function showCurrent(main, { first = false } = {}) {
  clear();
  const mine = turn;
  const found = match(path());
  main.classList.toggle("broad", Boolean(found?.broad));
  if (!found) {
    replace(main, failure("There is no such page.", "Use the navigation above."));
    return;
  }
  let module;
  try {
    module = await found.load();
  } catch {
    if (mine === turn) replace(main, updated());
    return;
  }
  if (mine !== turn) return;
  replace(main);
  leave = module.show({ main, params: found.params, title: setTitle }) ?? null;
  if (first) return;
  window.scrollTo(0, 0);
  focusHeading(main);
}

/** Ends the page that is shown, and what is open above it. */
export function clear() {
  turn += 1;
  closeDialogs();
  leave?.();
  leave = null;
}

function match(current) {
  for (const each of routes) {
    const parts = each.test.exec(current);
    if (!parts) continue;
    const params = Object.fromEntries(
      each.names.map((name, index) => [name, decodeURIComponent(parts[index + 1])]),
    );
    return { ...each, params };
  }
  return null;
}

function setTitle(text) {
  document.title = text ? `${text} · NeuroScan` : "NeuroScan";
}

function updated() {
  return failure(
    "A part of the page could not be loaded.",
    "The server does not answer, or NeuroScan was updated. Load the page again.",
    h("button", { onclick: () => location.reload() }, "Load again"),
  );
}
