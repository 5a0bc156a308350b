// One batch: how far it is, its files, what can be taken away.

import { get, words } from "../core/api.js";
import { confirm } from "../core/dialog.js";
import { choice, field, h, setText } from "../core/dom.js";
import { renew } from "../core/focus.js";
import { moment, plural, shortId } from "../core/format.js";
import { icon } from "../core/icons.js";
import { follow, removeFollowed } from "../core/live.js";
import { go } from "../core/router.js";
import { empty, failureOf, waiting } from "../core/states.js";
import { say } from "../core/toast.js";
import { CLASSES } from "../core/words.js";
import { counts, countWords } from "../batch/counts.js";
import { grid, isFailed, SORT_WORDS } from "../batch/grid.js";

const FILTERS = [
  ["", "All files"],
  ["failed", "Failed"],
  ["running", "Not done yet"],
  ...Object.entries(CLASSES),
  ["turned-away", "Turned away"],
];

export function show({ main, params, title }) {
  const path = `/v1/batches/${params.id}`;
  title(`Batch ${shortId(params.id)}`);
  const ending = new AbortController();
  let stop = () => {};
  const load = async () => {
    renew(main, h("h1", { class: "visually-hidden" }, `Batch ${shortId(params.id)}`), waiting(48, 60, 400));
    try {
      const batch = await get(path, { signal: ending.signal });
      const page = build(main, batch, path);
      page.update(batch);
      if (isOver(batch)) return;
      stop = follow(path, {
        onValue: page.update,
        isOver,
        snapshotIsValue: false,
        onGone: (error) => say(words(error), { failed: true }),
      });
    } catch (error) {
      if (!ending.signal.aborted) renew(main, failureOf(error, load));
    }
  };
  load();
  return () => {
    ending.abort();
    stop();
  };
}

function isOver(batch) {
  const { over, total } = counts(batch);
  return over >= total;
}

function build(main, first, path) {
  const id = shortId(first.id);
  const summary = h("p", { class: "meta", role: "status" });
  const progress = h("progress", { max: 1, value: 0, "aria-label": "Files that are done" });
  const sort = choice(SORT_WORDS);
  const filter = choice(FILTERS);
  const tiles = grid();
  const none = empty("No file fits", "Choose another filter.");
  const failures = h("p", { class: "bad small batch-failures" });
  const download = (name, text, look) =>
    h("a", { class: `button ${look}`, href: `${path}/${name}`, download: `batch-${id}-${name}` }, icon("download"), text);
  let batch = first;
  const draw = () => {
    const shown = tiles.show(batch.items, { sort: sort.value, filter: filter.value });
    none.hidden = shown > 0;
  };
  sort.addEventListener("change", draw);
  filter.addEventListener("change", draw);
  renew(
    main,
    h(
      "div",
      { class: "head" },
      h("div", {}, h("h1", {}, `Batch ${id}`), summary),
      h(
        "div",
        { class: "actions" },
        h("button", { class: "danger", type: "button", onclick: () => erase(batch, path) }, "Delete"),
        download("results.csv", "Results (CSV)", ""),
        download("report.zip", "Reports (ZIP)", "primary"),
      ),
    ),
    progress,
    h(
      "section",
      { class: "card", "aria-label": "Files" },
      h("div", { class: "filters" }, field("Sorted by", sort), field("Shown", filter)),
      failures,
      tiles.element,
      none,
    ),
  );
  return {
    update(now) {
      batch = now;
      const { total, over } = counts(now);
      progress.value = total ? over / total : 0;
      setText(summary, `${plural(total, "file")} · ${countWords(now)} · sent ${moment(now.created_at)}`);
      const failed = now.items.filter(isFailed).length;
      setText(failures, failed ? `${plural(failed, "file")} failed. Failures stand first, with the reason.` : "");
      progress.classList.toggle("unseen", over >= total);
      draw();
    },
  };
}

async function erase(batch, path) {
  const done = await confirm(
    "Delete this batch?",
    `All that was made of ${plural(batch.total, "file")} is removed for good: names, pictures, heat maps, parameters, reviews and reports.`,
    { action: "Delete the batch", send: () => removeFollowed(path) },
  );
  if (!done) return;
  say("The batch was deleted.");
  go("/batches");
}
