// Many slices at once.

import { newKey, upload, words } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { bytes, plural } from "../core/format.js";
import { icon } from "../core/icons.js";
import { go } from "../core/router.js";
import { failure } from "../core/states.js";
import { dropZone } from "./drop.js";
import { scanFields } from "./fields.js";

const FILES_MAX = 500;
const BYTES_MAX = 2 * 1024 ** 3;

export function batchForm(signal) {
  const fields = scanFields({ single: false });
  const problem = h("div");
  const listed = h("div");
  const progress = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Upload" });
  const submit = h("button", { class: "primary", type: "submit", disabled: true }, "Analyze");
  // The key of the last try: the same files and fields go on where a broken upload ended.
  const state = { files: [], sending: false, tried: null };

  const showFiles = () => {
    const total = state.files.reduce((sum, file) => sum + file.size, 0);
    const tooMany = state.files.length > FILES_MAX || total > BYTES_MAX;
    submit.disabled = state.files.length === 0 || tooMany || state.sending;
    submit.textContent = state.files.length ? `Analyze ${plural(state.files.length, "file")}` : "Analyze";
    replace(
      problem,
      tooMany &&
        failure(
          "These are too many files for one batch.",
          `A batch takes ${FILES_MAX} files and 2 GiB. Remove some and send them as another batch.`,
        ),
    );
    replace(
      listed,
      state.files.length > 0 && [
        h(
          "div",
          { class: "row" },
          h("strong", {}, plural(state.files.length, "file")),
          h("span", { class: "muted" }, bytes(total)),
          h("button", { class: "quiet push", type: "button", onclick: () => set([]) }, "Remove all"),
        ),
        h("ul", { class: "file-list" }, state.files.map(fileLine)),
      ],
    );
  };
  const fileLine = (file) =>
    h(
      "li",
      {},
      h("span", {}, file.name),
      h("small", { class: "muted" }, bytes(file.size)),
      h(
        "button",
        {
          class: "quiet icon-button",
          type: "button",
          "aria-label": `Remove ${file.name}`,
          onclick: () => set(state.files.filter((each) => each !== file)),
        },
        icon("close"),
      ),
    );
  const set = (files) => {
    state.files = files;
    showFiles();
  };
  const zone = dropZone({
    multiple: true,
    title: "Drop slices here",
    text: "JPEG, PNG or DICOM; up to 500 files and 2 GiB. One bad file fails alone.",
    onFiles: (files) => {
      if (state.sending) return;
      set([...state.files, ...files]);
      submit.focus();
    },
    signal,
  });
  const keyFor = (files, values) => {
    const said = JSON.stringify(values);
    const same = state.tried?.files === files && state.tried.said === said;
    if (!same) state.tried = { files, said, key: newKey() };
    return state.tried.key;
  };
  const send = async (event) => {
    event.preventDefault();
    if (state.sending || state.files.length === 0) return;
    const values = fields.values();
    state.sending = true;
    submit.disabled = true;
    progress.hidden = false;
    replace(problem);
    try {
      const batch = await upload("/v1/batches", formOf(state.files, values), {
        onProgress: (share) => (progress.value = share),
        headers: { "Idempotency-Key": keyFor(state.files, values) },
        signal,
      });
      go(`/batches/${batch.id}`);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.code === "idempotency_conflict") state.tried = null;
      const begun = error.location && linkTo(error.location);
      replace(problem, failure(error.title ?? "The batch was not accepted.", words(error), ...(begun ? [begun] : [])));
      submit.disabled = false;
    } finally {
      state.sending = false;
      progress.hidden = true;
    }
  };
  return h(
    "form",
    { class: "stack", onsubmit: send },
    zone,
    listed,
    problem,
    fields.element,
    h("div", { class: "send" }, progress, submit),
  );
}

/** To a batch that holds what came before the problem. */
function linkTo(location) {
  return h("a", { class: "button", href: location.replace(/^\/v1/, "#") }, "What arrived of the batch");
}

/** The fields first: the server stores each file as it arrives. */
function formOf(files, values) {
  const form = new FormData();
  for (const [name, value] of values) form.append(name, value);
  for (const file of files) form.append("images", file, file.name);
  return form;
}
