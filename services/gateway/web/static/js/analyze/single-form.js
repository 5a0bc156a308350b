// One slice: the file, what is said about it, and the way to its result.

import { newKey, Problem, upload, words } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { bytes } from "../core/format.js";
import { handOver, takeOver } from "../core/handoff.js";
import { icon } from "../core/icons.js";
import { go } from "../core/router.js";
import { failure } from "../core/states.js";
import { dropZone } from "./drop.js";
import { scanFields } from "./fields.js";
import { samplePicker } from "./samples.js";

export function singleForm(signal) {
  const fields = scanFields({ single: true, patient: takeOver("patient-for-upload") });
  const chosen = h("div", { class: "chosen-file", hidden: true });
  const problem = h("div");
  const progress = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Upload" });
  const submit = h("button", { class: "primary", type: "submit", disabled: true }, "Analyze");
  // The same key for another try of the same thing: a lost answer then makes no second scan.
  const state = { file: null, key: null, preview: null, sending: false };

  const choose = ([file], sample = null) => {
    URL.revokeObjectURL(state.preview);
    state.file = file;
    state.key = newKey();
    state.preview = file.type.startsWith("image/") ? URL.createObjectURL(file) : null;
    fields.takeBack();
    if (sample) fields.fill(sample);
    replace(problem);
    replace(
      chosen,
      state.preview
        ? h("img", { src: state.preview, alt: "", onerror: (event) => event.target.replaceWith(fileSign("no preview")) })
        : fileSign("no preview"),
      h("div", {}, h("strong", {}, file.name), h("small", { class: "muted" }, sample?.words ?? bytes(file.size))),
      h(
        "button",
        { class: "quiet icon-button push", type: "button", "aria-label": "Remove the file", onclick: clear },
        icon("close"),
      ),
    );
    chosen.hidden = false;
    zone.hidden = true;
    submit.disabled = false;
    submit.focus();
  };
  const clear = () => {
    state.file = null;
    fields.takeBack();
    chosen.hidden = true;
    zone.hidden = false;
    submit.disabled = true;
    replace(problem);
    zone.querySelector("button").focus();
  };
  const zone = dropZone({
    multiple: false,
    title: "Drop a slice here",
    text: "JPEG, PNG or DICOM, up to 32 MiB; or paste a picture",
    onFiles: (files) => !state.sending && choose(files),
    more: samplePicker((file, sample) => choose([file], sample)),
    signal,
  });
  const send = async (event) => {
    event.preventDefault();
    if (!state.file || state.sending) return;
    state.sending = true;
    submit.disabled = true;
    progress.hidden = false;
    replace(problem);
    try {
      const scan = await upload("/v1/scans", formOf(state.file, fields.values()), {
        onProgress: (share) => (progress.value = share),
        headers: { "Idempotency-Key": state.key },
        signal,
      });
      handOver(`/v1/scans/${scan.id}`, { scan, fresh: true });
      go(`/scans/${scan.id}`);
    } catch (error) {
      if (error.name === "AbortError") return;
      replace(problem, failure(error.title ?? "The slice was not accepted.", words(error)));
      if (error instanceof Problem && error.status >= 400) state.key = newKey();
      focusOn(error, fields);
    } finally {
      state.sending = false;
      progress.hidden = true;
      submit.disabled = state.file === null;
    }
  };
  signal.addEventListener("abort", () => URL.revokeObjectURL(state.preview));
  return h(
    "form",
    { class: "stack", onsubmit: send },
    zone,
    chosen,
    problem,
    fields.element,
    h("div", { class: "send" }, progress, submit),
  );
}

function fileSign(words) {
  return h("span", { class: "file-sign" }, words);
}

function formOf(file, values) {
  const form = new FormData();
  for (const [name, value] of values) form.append(name, value);
  form.append("image", file, file.name);
  return form;
}

function focusOn(error, fields) {
  if (error.code === "frame_required" || error.code === "frame_out_of_range") fields.focus("frame");
}
