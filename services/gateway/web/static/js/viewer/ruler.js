// Lengths on the picture: millimeters only where the spacing is known, else pixels.

import { number } from "../core/format.js";
import { spacingKnown } from "../core/words.js";

/** The longest bar that fits a corner, in CSS pixels. */
export const BAR_ROOM = 120;

const BARS = [200, 100, 50, 30, 20, 10, 5, 2, 1];

/** A line's length in words. */
export function measured({ from, to }, geometry) {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  if (geometry && spacingKnown(geometry)) {
    return `${number(Math.hypot(dx * geometry.column_mm, dy * geometry.row_mm))} mm`;
  }
  return `${number(Math.hypot(dx, dy))} px`;
}

/** A bar for the corner: its width on the screen and its words. `scale`: CSS pixels a pixel. */
export function scaleBar(geometry, scale, room) {
  const known = geometry && spacingKnown(geometry);
  const unit = known ? scale / geometry.column_mm : scale;
  const length = BARS.find((each) => each * unit <= room) ?? BARS.at(-1);
  return { width: length * unit, words: known ? `${length} mm` : `${length} px` };
}

/** What is known of the scale, where it is not known for certain. */
export function scaleWords(geometry) {
  if (!geometry || spacingKnown(geometry)) return "";
  return geometry.source === "head_size" ? "scale estimated only" : "scale unknown";
}
