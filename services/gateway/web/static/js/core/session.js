// Who is signed in, and what that role may do. The key itself is never kept: the cookie is HttpOnly.

import { call, Problem, setCsrfToken } from "./api.js";

const ORDER = ["submitter", "clinician", "admin"];
// Whether to ask for a session at all on the first view: without it that question is a sure 401.
const HINT = "neuroscan.signed-in";

let current = null;

export function session() {
  return current;
}

/** Whether the signed-in role includes this one. */
export function may(role) {
  return current !== null && ORDER.indexOf(current.role) >= ORDER.indexOf(role);
}

/** The session that the cookie opens, or null. */
export async function restore() {
  if (!remembered()) return null;
  try {
    return keep((await call("GET", "/v1/session", { quiet: true })).data);
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return forget();
    throw error;
  }
}

/** Signs in with `{ key }` or `{ code }`. */
export async function signIn(proof) {
  return keep((await call("POST", "/v1/session", { json: proof, quiet: true })).data);
}

export async function signOut() {
  await call("DELETE", "/v1/session", { quiet: true });
  forget();
}

export function forget() {
  current = null;
  setCsrfToken(null);
  remember(false);
  return null;
}

function keep(view) {
  current = view;
  setCsrfToken(view.csrf_token);
  remember(true);
  return view;
}

function remembered() {
  try {
    return localStorage.getItem(HINT) !== null;
  } catch {
    return true;
  }
}

function remember(signedIn) {
  try {
    if (signedIn) localStorage.setItem(HINT, "1");
    else localStorage.removeItem(HINT);
  } catch {
    // A browser without storage asks each time.
  }
}
