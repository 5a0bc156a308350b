// Test slices that the project draws itself, with what is known about them.

import { words } from "../core/api.js";
import { openDialog } from "../core/dialog.js";
import { h } from "../core/dom.js";
import { say } from "../core/toast.js";

// Beside this module, so that they are found under the same address of the page's files.
const FOLDER = new URL("../../samples/", import.meta.url);
const SAMPLES = [
  {
    file: "lesion-right-temporal-34mm-shift-8mm.png",
    words: "Lesion of 34 × 24 mm, right temporal; midline shift of 8 mm",
  },
  { file: "lesion-left-frontal-30mm.png", words: "Lesion of 30 mm, left frontal" },
  { file: "lesion-right-parietal-22mm.png", words: "Lesion of 22 mm, right parietal" },
  { file: "healthy-level-18mm.png", words: "No lesion" },
];

/** A button that offers the samples; `onPick(file, facts)`. */
export function samplePicker(onPick) {
  return h("button", { type: "button", onclick: () => offer(onPick) }, "Use a sample");
}

async function offer(onPick) {
  const picked = await openDialog(
    "Samples",
    (close) => [
      h("p", { class: "muted small" }, "Slices drawn by the project, not scans of a person. Side, size and spacing are known."),
      h(
        "div",
        { class: "samples" },
        SAMPLES.map((sample) =>
          h(
            "button",
            { type: "button", onclick: () => close(sample) },
            h("img", { src: new URL(sample.file, FOLDER).href, alt: "", width: 256, height: 256 }),
            h("span", {}, sample.words),
          ),
        ),
      ),
      h("div", { class: "row" }, h("button", { type: "button", onclick: () => close() }, "Cancel")),
    ],
    { wide: true },
  );
  if (!picked) return;
  try {
    const [picture, facts] = await Promise.all([
      fetch(new URL(picked.file, FOLDER)).then((answer) => answer.blob()),
      fetch(new URL(picked.file.replace(/png$/, "json"), FOLDER)).then((answer) => answer.json()),
    ]);
    onPick(new File([picture], picked.file, { type: "image/png" }), {
      words: picked.words,
      pixelSpacing: String(facts.pixel_spacing_mm),
      displayConvention: facts.display_convention,
    });
  } catch (error) {
    say(words(error), { failed: true });
  }
}
