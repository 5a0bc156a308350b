// The view as a file: the picture with its sides and scale, and below it what must go with it.

import { h } from "../core/dom.js";
import { number, oneOf, shortId } from "../core/format.js";
import { METHODS, opposite, sidesKnown, TURNED_AWAY, wasTurnedAway } from "../core/words.js";
import { BAR_ROOM, scaleBar, scaleWords } from "./ruler.js";

const NOTICE = "Research use only. Not for diagnosis.";
const MARGIN = 12;
const LINE = 19;
const EDGE = "rgb(16 16 16 / 0.85)";
const INK = "#e7ecf2";
const FONT = "13px system-ui, sans-serif";

/** A PNG of what the canvas shows, as a `Blob`. */
export function exported(canvas, scan, viewer) {
  const dense = canvas.width / canvas.clientWidth;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const page = new OffscreenCanvas(1, 1);
  const context = page.getContext("2d");
  context.font = FONT;
  const lines = facts(scan, viewer).flatMap((text) => wrapped(context, text, width - 2 * MARGIN));
  page.width = canvas.width;
  page.height = Math.round((height + lines.length * LINE + 2 * MARGIN) * dense);
  context.fillStyle = "#000";
  context.fillRect(0, 0, page.width, page.height);
  context.drawImage(canvas, 0, 0);
  context.scale(dense, dense);
  context.textBaseline = "middle";
  sides(context, viewer.geometry, width, height);
  scale(context, viewer, width, height);
  context.font = FONT;
  context.textAlign = "left";
  context.fillStyle = INK;
  lines.forEach((text, index) => context.fillText(text, MARGIN, height + MARGIN + (index + 0.5) * LINE));
  return page.convertToBlob({ type: "image/png" });
}

function facts(scan, viewer) {
  const { model } = scan;
  const named = model ? `, NeuroScan model ${model.name} ${model.version}` : "";
  return [
    NOTICE,
    wasTurnedAway(scan) ? `${TURNED_AWAY}.` : "",
    mapWords(viewer),
    windowWords(viewer.picture.window),
    `Scan ${shortId(scan.id)}${named}`,
  ].filter(Boolean);
}

/** Which map and which outlines are shown. */
function mapWords(viewer) {
  const { explanation, regions } = viewer;
  if (!explanation) return "No heat map.";
  const outlines = [
    viewer.showMap && regions.map && "the map (solid)",
    viewer.showSegmentation && regions.segmentation && "the segmentation (dashed)",
  ].filter(Boolean);
  const outlined = outlines.length > 0 ? ` Outlined: ${oneOf(outlines, "and")}.` : "";
  if (viewer.opacity === 0) return `Heat map not shown.${outlined}`;
  const strength = viewer.showSlice ? `, strength ${Math.round(viewer.opacity * 100)} %` : "";
  return `${METHODS[explanation.method]} heat map at ${explanation.layer} for ${viewer.targetWords}, scaled to its own maximum${strength}.${outlined}`;
}

function windowWords({ level, width }) {
  return `Window ${number(width)}, level ${number(level)}.`;
}

function sides(context, geometry, width, height) {
  context.font = "16px ui-monospace, monospace";
  if (!sidesKnown(geometry)) {
    label(context, "side unknown", width - MARGIN, MARGIN + 8, "right");
    return;
  }
  const { image_right: right, image_bottom: bottom } = geometry.orientation;
  label(context, opposite(right), MARGIN, height / 2, "left");
  label(context, right, width - MARGIN, height / 2, "right");
  if (!bottom) return;
  label(context, opposite(bottom), width / 2, MARGIN + 8, "center");
  label(context, bottom, width / 2, height - MARGIN - 8, "center");
}

function scale(context, viewer, width, height) {
  const { geometry } = viewer;
  const bar = scaleBar(geometry, viewer.placement().scale, BAR_ROOM);
  const [left, right, base] = [width - MARGIN - bar.width, width - MARGIN, height - MARGIN];
  context.beginPath();
  context.moveTo(left, base - 6);
  context.lineTo(left, base);
  context.lineTo(right, base);
  context.lineTo(right, base - 6);
  for (const [color, thick] of [[EDGE, 4], [INK, 1.5]]) {
    context.strokeStyle = color;
    context.lineWidth = thick;
    context.stroke();
  }
  context.font = FONT;
  label(context, [scaleWords(geometry), bar.words].filter(Boolean).join(", "), right, base - 18, "right");
}

/** Text that can be read on any ground. */
function label(context, text, x, y, align) {
  context.textAlign = align;
  context.strokeStyle = EDGE;
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.strokeText(text, x, y);
  context.fillStyle = INK;
  context.fillText(text, x, y);
}

/** A text in lines no wider than `room`. */
function wrapped(context, text, room) {
  const lines = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && context.measureText(longer).width <= room) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** Has the browser save a blob under a name. */
export function saveFile(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
