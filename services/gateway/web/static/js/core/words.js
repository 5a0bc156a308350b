// The API's closed vocabularies in words.

import { oneOf, percent } from "./format.js";

export const CLASSES = {
  glioma: "Glioma",
  meningioma: "Meningioma",
  no_tumor: "No tumor",
  pituitary: "Pituitary",
};

export const METHODS = { hirescam: "HiRes-CAM", gradcam: "Grad-CAM", "gradcam++": "Grad-CAM++" };

export const STATES = {
  received: "Waiting",
  classified: "Explaining",
  explained: "Measuring",
  measured: "Writing the report",
  completed: "Completed",
  failed: "Failed",
  canceled: "Canceled",
};

export const STAGES = { classify: "classify", explain: "explain", measure: "measure", report: "report" };

export const STANDINGS = {
  measured: "measured",
  estimated: "estimated",
  surrogate: "surrogate",
  not_assessable: "not assessable",
};

export const SIDES = { left: "Left", right: "Right", crosses: "Crosses the midline" };
export const SEXES = { female: "Female", male: "Male", other: "Other", unknown: "Not given" };
export const FORMATS = { jpeg: "JPEG", png: "PNG", dicom: "DICOM" };
export const ROLES = { submitter: "Submitter", clinician: "Clinician", admin: "Administrator" };
export const SPACING_SOURCES = {
  dicom: "DICOM",
  request: "stated",
  head_size: "estimated from the head's size",
  unknown: "unknown",
};

const OPPOSITE = { R: "L", L: "R", A: "P", P: "A", H: "F", F: "H" };

export function opposite(axis) {
  return OPPOSITE[axis] ?? null;
}

export const TURNED_AWAY = "Turned away by the input check";
const NO_CLASS_OUT = "No class can be ruled out";

/**
 * What large letters may say of a classification (or of a batch's item, a trend's point): no more than
 * its prediction set. The set's classes with their shares where those are known, likeliest first;
 * empty where all four are in it.
 */
export function answers({ label, confidence, probabilities, prediction_set: set }) {
  const classes = set ?? [label];
  if (classes.length === Object.keys(CLASSES).length) return [];
  const shares = { [label]: confidence, ...probabilities };
  const sorted = probabilities ? [...classes].sort((a, b) => shares[b] - shares[a]) : classes;
  return sorted.map((name, index) => ({
    name: index === 0 ? CLASSES[name] : CLASSES[name].toLowerCase(),
    share: shares[name] === undefined ? "" : percent(shares[name]),
  }));
}

/** As in "Meningioma 51 % or pituitary 46 %". */
export function answerWords(found) {
  return oneOf(answers(found).map(({ name, share }) => `${name} ${share}`.trim())) || NO_CLASS_OUT;
}

/** As in "Meningioma or pituitary". */
export function classWords(found) {
  return oneOf(answers(found).map(({ name }) => name)) || NO_CLASS_OUT;
}

/** Whether the input check says that the network was not made for this picture. */
export function wasTurnedAway(scan) {
  return Boolean(scan.input_check && !scan.input_check.accepted);
}

/** Whether an accepted picture was classified as a tumor. */
export function namesTumor(scan) {
  const label = scan.classification?.label;
  return !wasTurnedAway(scan) && label !== undefined && label !== "no_tumor";
}

export function isFinal(state) {
  return state === "completed" || state === "failed" || state === "canceled";
}

/** Whether lengths in mm may be read off the picture. */
export function spacingKnown(geometry) {
  return (
    geometry.row_mm !== null &&
    geometry.column_mm !== null &&
    (geometry.source === "dicom" || geometry.source === "request")
  );
}

/** Whether the picture's sides may be named. */
export function sidesKnown(geometry) {
  return geometry.orientation.source !== "unknown" && Boolean(geometry.orientation.image_right);
}
