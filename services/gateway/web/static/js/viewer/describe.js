// What the picture shows, in words for those who don't see it.

import { oneOf } from "../core/format.js";
import { CLASSES, METHODS, sidesKnown } from "../core/words.js";

export function describe(scan, viewer) {
  const parts = [`Slice of ${scan.image.width} by ${scan.image.height} pixels`];
  if (viewer.explanation) {
    const target = CLASSES[viewer.explanation.target_label].toLowerCase();
    const strength = Math.round(viewer.opacity * 100);
    parts.push(`${METHODS[viewer.explanation.method]} heat map for ${target} at ${strength} percent`);
    const outlines = [
      viewer.showMap && viewer.regions.map && "the map's region",
      viewer.showSegmentation && viewer.regions.segmentation && "the segmentation",
    ].filter(Boolean);
    if (outlines.length > 0) parts.push(`outlined: ${oneOf(outlines, "and")}`);
    const place = placeOf(viewer.explanation.region, scan.image);
    if (place) parts.push(`the marked region lies ${place}`);
  }
  parts.push(sidesKnown(scan.image.geometry) ? "sides are known" : "side unknown");
  return `${parts.join(". ")}. Press question mark for keys.`;
}

function placeOf(region, { width, height }) {
  if (!region) return null;
  const [x0, y0, x1, y1] = region.bbox;
  const across = third((x0 + x1) / 2 / width, ["left", "middle", "right"]);
  const down = third((y0 + y1) / 2 / height, ["top", "center", "bottom"]);
  return `at the picture's ${down} ${across}`;
}

function third(share, names) {
  return names[Math.min(Math.floor(share * 3), 2)];
}
