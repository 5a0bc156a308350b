// The API's closed vocabularies in words.

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

export const TURNED_AWAY = "Not a brain MRI slice";

/** Whether the input check says that the network was not made for this picture. */
export function wasTurnedAway(scan) {
  return Boolean(scan.input_check && !scan.input_check.accepted);
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
