// Where files come in: dropped anywhere on the page, chosen, or pasted.

import { h } from "../core/dom.js";
import { icon } from "../core/icons.js";

const ACCEPTED = ".jpg,.jpeg,.png,.dcm,.dicom,image/jpeg,image/png,application/dicom";

/** The zone; `onFiles(files)` gets an array. `more` stands beside the button. */
export function dropZone({ multiple, title, text, onFiles, more, signal }) {
  const input = h("input", {
    type: "file",
    class: "visually-hidden",
    tabIndex: -1,
    multiple,
    // Without `accept` a DICOM file that has no suffix could not be chosen on a phone or a Mac.
    accept: multiple ? undefined : `${ACCEPTED},*/*`,
    "aria-label": multiple ? "Files" : "File",
    onchange: () => {
      give(input.files);
      input.value = "";
    },
  });
  const give = (list) => {
    const files = [...(list ?? [])];
    if (files.length > 0) onFiles(multiple ? files : files.slice(0, 1));
  };
  const zone = h(
    "div",
    { class: "drop" },
    h("strong", {}, title),
    h("p", {}, text),
    h(
      "div",
      { class: "row" },
      h(
        "button",
        { class: "primary", type: "button", onclick: () => input.click() },
        icon("upload"),
        multiple ? "Choose files" : "Choose a file",
      ),
      more,
    ),
    input,
  );
  listen(zone, give, signal);
  return zone;
}

function listen(zone, give, signal) {
  let depth = 0;
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    zone.classList.toggle("over", depth > 0);
  };
  const on = (name, act) => addEventListener(name, act, { signal });
  on("dragenter", (event) => holdsFiles(event) && mark(1));
  on("dragleave", (event) => holdsFiles(event) && mark(-1));
  on("dragover", (event) => holdsFiles(event) && event.preventDefault());
  on("drop", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    depth = 0;
    zone.classList.remove("over");
    give(event.dataTransfer.files);
  });
  on("paste", (event) => {
    if (event.clipboardData?.files.length) {
      event.preventDefault();
      give(event.clipboardData.files);
    }
  });
}
