// The page's start: theme, session, frame, then whatever the address names.

import { isReachable, Problem, server, words } from "./core/api.js";
import { replace } from "./core/dom.js";
import { clear, go, path, route, showCurrent } from "./core/router.js";
import { forget, may, restore, session, signIn } from "./core/session.js";
import { failureOf } from "./core/states.js";
import { applyTheme } from "./core/theme.js";
import { say } from "./core/toast.js";
import "./shell/connection.js";
import "./shell/header.js";
import * as analyze from "./pages/analyze.js";

const main = document.querySelector("main");
const header = document.querySelector("ns-header");

route("/analyze", async () => analyze);
route("/analyze/batch", async () => analyze);
route("/scans", () => import("./pages/scans.js"));
route("/scans/:id", () => import("./pages/scan.js"), { broad: true });
route("/scans/:id/compare/:other", () => import("./pages/compare.js"), { broad: true });
route("/batches", () => import("./pages/batches.js"));
route("/batches/:id", () => import("./pages/batch.js"), { broad: true });
route("/patients", () => import("./pages/patients.js"));
route("/patients/:id", () => import("./pages/patient.js"));
route("/model", () => import("./pages/model.js"));
route("/keys", () => import("./pages/keys.js"));

const SECTIONS = [
  { path: "/analyze", words: "Analyze", role: "submitter" },
  { path: "/scans", words: "Scans", role: "submitter" },
  { path: "/batches", words: "Batches", role: "submitter" },
  { path: "/patients", words: "Patients", role: "clinician" },
  { path: "/model", words: "Model", role: "submitter" },
  { path: "/keys", words: "Keys", role: "admin" },
];

let first = true;

async function show() {
  header.show(
    SECTIONS.filter((section) => may(section.role)),
    path(),
    session(),
  );
  await showCurrent(main, { first });
  first = false;
}

async function showSignIn(message) {
  clear();
  header.show([], "", null);
  const { showSignInForm } = await import("./pages/sign-in.js");
  showSignInForm(main, { message, onSignedIn: show });
}

async function start() {
  applyTheme();
  const code = takeCode();
  try {
    if (code) await signIn({ code });
    else await restore();
  } catch (error) {
    if (error instanceof Problem && error.status === 401) {
      await showSignIn(words(error));
    } else {
      header.show([], "", null);
      replace(main, failureOf(error, () => location.reload()));
      server.addEventListener("found", () => location.reload(), { once: true });
    }
    return;
  }
  if (session()) await show();
  else await showSignIn();
  performance.mark("interactive");
}

/** The link's code leaves the address bar and the history before anything else happens. */
function takeCode() {
  const found = /^#code=(.+)$/.exec(location.hash);
  if (!found) return null;
  history.replaceState(null, "", location.pathname);
  return decodeURIComponent(found[1]);
}

// Addresses after the `#` name pages, so that the link must not set one.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => {
  const code = takeCode();
  if (code) {
    signIn({ code }).then(show, (error) => say(words(error), { failed: true }));
  } else if (session()) show();
});
server.addEventListener("signed-out", () => {
  if (!session()) return;
  forget();
  showSignIn("The session has ended. Sign in again.");
});
addEventListener("neuroscan:signed-out", () => {
  go("/analyze");
  showSignIn("You are signed out.");
});
addEventListener("unhandledrejection", (event) => {
  if (!isReachable()) event.preventDefault();
});

start();
