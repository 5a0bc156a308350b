// The batches that were sent, newest first.

import { h, replace } from "../core/dom.js";
import { moment, plural, shortId } from "../core/format.js";
import { pagedList } from "../core/pages.js";
import { empty } from "../core/states.js";
import { countWords } from "../batch/counts.js";

export function show({ main, title }) {
  title("Batches");
  const ending = new AbortController();
  const send = () => h("a", { class: "button primary", href: "#/analyze/batch" }, "Upload a batch");
  const list = pagedList({
    path: "/v1/batches",
    look: "lines",
    draw: (items) => items.map(line),
    nothing: () => empty("No batches yet", "Send many slices at once; each becomes a scan of its own.", send()),
    signal: ending.signal,
  });
  replace(
    main,
    h("div", { class: "head" }, h("h1", {}, "Batches"), h("div", { class: "actions" }, send())),
    h("section", { class: "card" }, list.element),
  );
  list.reload({ limit: "50" });
  return () => ending.abort();
}

function line(batch) {
  return h(
    "li",
    {},
    h(
      "a",
      { href: `#/batches/${batch.id}` },
      h("span", {}, h("strong", {}, plural(batch.total, "file")), h("small", {}, `Batch ${shortId(batch.id)}`)),
      h("span", { class: "end" }, h("span", {}, countWords(batch)), h("small", {}, moment(batch.created_at))),
    ),
  );
}
