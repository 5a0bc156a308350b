// Analyze: one scan or a batch.

import { batchForm } from "../analyze/batch-form.js";
import { recentScans } from "../analyze/recent.js";
import { singleForm } from "../analyze/single-form.js";
import { h, replace } from "../core/dom.js";
import { path } from "../core/router.js";

export function show({ main, title }) {
  const batch = path() === "/analyze/batch";
  title(batch ? "Batch upload" : "Analyze");
  const ending = new AbortController();
  const tabs = h(
    "nav",
    { class: "tabs", "aria-label": "Kind of upload" },
    tab("#/analyze", "Single scan", !batch),
    tab("#/analyze/batch", "Batch upload", batch),
  );
  const form = batch ? batchForm(ending.signal) : singleForm(ending.signal);
  const upload = h("section", { class: "card upload", "aria-label": "Upload" }, tabs, form);
  replace(
    main,
    h("h1", { class: "visually-hidden" }, batch ? "Batch upload" : "Analyze a scan"),
    h("div", { class: "analyze" }, upload, recentScans(ending.signal)),
  );
  return () => ending.abort();
}

function tab(href, words, current) {
  return h("a", { href, "aria-current": current ? "page" : null }, words);
}
