// Method and limits, and which model said all this.

import { h } from "../core/dom.js";
import { number, percent } from "../core/format.js";
import { METHODS, namesTumor, wasTurnedAway } from "../core/words.js";

export function method(scan) {
  return [h("h2", {}, "Method and limits"), h("ul", { class: "limits" }, sentences(scan).map((text) => h("li", {}, text))), model(scan)];
}

function sentences(scan) {
  const found = scan.explanation;
  const list = ["The heat map shows what the network used for its answer, not where a tumor ends. Its colors are scaled to its own maximum."];
  if (found) {
    const sharp = found.sharpness === null ? "" : `, sharpness ${number(found.sharpness, 2)}`;
    list.push(`Map: ${METHODS[found.method]} at ${found.layer}${sharp}.`);
    if (namesTumor(scan) && found.pointing_accuracy !== null) {
      list.push(`On annotated validation slices the peak of such a map lay inside the tumor in ${percent(found.pointing_accuracy)}.`);
    }
    list.push(...measuredFrom(scan));
    if (found.overlap !== null) list.push(`Map and segmentation overlap with a Dice coefficient of ${found.overlap.toFixed(2)}.`);
  }
  list.push("One slice shows two axes: whatever needs the third, another sequence or contrast dynamics is assumed or not given.");
  list.push(scan.notice);
  return list;
}

/** What the parameters rest on: nothing before they are there, nor where no region is measured. */
function measuredFrom(scan) {
  const { region_source: source, segmentation_dice: dice } = scan.explanation;
  if (wasTurnedAway(scan)) return ["The input check turned the picture away, so no region is measured."];
  if (!namesTumor(scan)) return ["The slice is classified as no tumor, so no region is measured."];
  if (!scan.spatial) return [];
  if (source === "map") return ["The parameters are measured from the map's region and are as good as that."];
  if (source !== "segmentation") return [];
  const known = dice === null ? "" : ` (median Dice coefficient on annotated validation slices ${dice.toFixed(2)})`;
  return [`The parameters are measured from the segmentation's region${known}.`];
}

function model(scan) {
  if (!scan.model) return null;
  const { name, version, sha256 } = scan.model;
  return h(
    "p",
    { class: "small faint" },
    `Model ${name} ${version}, weights `,
    h("span", { class: "mono", title: sha256 }, sha256.slice(0, 12)),
    "; picture ",
    h("span", { class: "mono", title: scan.image.sha256 }, scan.image.sha256.slice(0, 12)),
    ". ",
    h("a", { href: "#/model" }, "The model's card"),
  );
}
