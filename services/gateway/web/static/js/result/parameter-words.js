// The ten spatial parameters in words: a value or a dash, and what else is known.

import { DASH, length, number, percent, sentence } from "../core/format.js";
import { SIDES } from "../core/words.js";

/** Name, key, how its value and its detail are written, and a usual detail for its length. */
export const PARAMETERS = [
  ["Anatomical region", "anatomical_region", region, "56 % of the region; right parietal lobe 28 %; right frontal lobe 13 %"],
  ["Hemisphere", "hemisphere", hemisphere, "picture: left"],
  ["Spatial relation", "spatial_relation", relation, "10 mm to the brain's edge, 45 mm to the midline"],
  ["Tumor volume", "tumor_volume", quantity, "9.33 to 20.9 cm³"],
  ["Maximum dimensions", "maximum_dimensions", dimensions, "33 to 38 × 23 to 28 × 23 to 38"],
  ["Texture", "texture", texture, "variation 0.17, entropy 3.2 bits"],
  ["Midline shift", "midline_shift", shift, "7.5 to 8.5 mm"],
  ["Edema volume", "edema_volume", quantity, "Area of the dark ring around the lesion: 944 mm² (930 to 947)"],
  [
    "Relative cerebral blood volume",
    "relative_cerebral_blood_volume",
    quantity,
    "Lesion-to-mirror intensity ratio: 2.05 (2.03 to 2.07), brighter than the mirrored place",
  ],
  ["Confidence", "confidence", confidence, ""],
];

function region({ value }) {
  if (!value) return [DASH, ""];
  const others = value.alternatives.slice(0, 2).map((each) => `${plain(each.name)} ${percent(each.probability)}`);
  return [plain(value.name), [`${percent(value.probability)} of the region`, ...others].join("; ")];
}

function hemisphere({ value, image_side: side }) {
  return [value ? SIDES[value] : DASH, side ? `picture: ${SIDES[side].toLowerCase()}` : ""];
}

function relation({ value }) {
  if (!value) return [DASH, ""];
  let detail = `${length(value.to_edge_mm)} mm to the brain's edge`;
  if (value.to_midline_mm !== null) detail += `, ${length(value.to_midline_mm)} mm to the midline`;
  return [`${value.axis === "intra" ? "Intra" : "Extra"}-axial, ${value.depth}`, detail];
}

function dimensions({ value, range }) {
  if (!value) return [DASH, ""];
  const ranges = range ? range.map(([low, high]) => `${length(low)} to ${length(high)}`).join(" × ") : "";
  return [`${value.map(length).join(" × ")} mm`, ranges];
}

function texture({ value }) {
  if (!value) return [DASH, ""];
  const { coefficient_of_variation: variation, entropy_bits: entropy } = value.features;
  return [plain(value.category), `variation ${number(variation, 2)}, entropy ${number(entropy, 2)} bits`];
}

function shift(parameter) {
  const { value, range, category } = parameter;
  if (value === null) return quantity(parameter);
  const detail = range ? `${range[0].toFixed(1)} to ${range[1].toFixed(1)} mm` : "";
  return [withCategory(`${value.toFixed(1)} mm`, category), detail];
}

function confidence({ value, range, category }) {
  if (value === null) return [DASH, ""];
  const detail = range ? `${percent(range[0])} to ${percent(range[1])}` : "";
  return [withCategory(percent(value), category), detail];
}

function quantity({ value, unit, category, range, surrogate }) {
  if (surrogate) {
    const unitWords = ["", "1", "ratio"].includes(surrogate.unit) ? "" : ` ${surrogate.unit}`;
    const limits = range ? ` (${number(range[0])} to ${number(range[1])})` : "";
    const text = `${surrogate.quantity}: ${number(surrogate.value)}${unitWords}${limits}`;
    return [DASH, withCategory(sentence(text).replace(/\.$/, ""), category)];
  }
  if (value === null) return [DASH, ""];
  const unitWords = unit ? ` ${unit}` : "";
  const detail = range ? `${number(range[0])} to ${number(range[1])}${unitWords}` : "";
  return [withCategory(`${number(value)}${unitWords}`, category), detail];
}

function withCategory(text, category) {
  return category ? `${text}, ${category.toLowerCase()}` : text;
}

/** "Right Temporal Lobe" as a sentence has it. */
function plain(name) {
  return sentence(name.toLowerCase()).replace(/\.$/, "");
}
