// Paints one frame: slice, map, outlines, measured lines, crosshair.

import { measured } from "./ruler.js";

const EDGE = "rgb(16 16 16 / 0.85)";
const MAP = "#ffd43b";
const SEGMENTATION = "#2dd4bf";
const LINE = "#ffffff";
// Above this, pixels are shown as the squares that they are.
const SQUARES_FROM = 8;

export function paint(context, box, scene) {
  const dense = window.devicePixelRatio || 1;
  context.setTransform(dense, 0, 0, dense, 0, 0);
  context.fillStyle = "#000";
  context.fillRect(0, 0, box.width, box.height);
  if (!scene.picture) return;
  const { placement } = scene;
  context.imageSmoothingEnabled = placement.scale < SQUARES_FROM;
  context.imageSmoothingQuality = "high";
  const at = [placement.left, placement.top, placement.width, placement.height];
  if (scene.showSlice) context.drawImage(scene.picture.canvas(), ...at);
  if (scene.heat && scene.opacity > 0) {
    context.globalAlpha = scene.showSlice ? scene.opacity : 1;
    context.imageSmoothingEnabled = true;
    context.drawImage(scene.heat, ...at);
    context.globalAlpha = 1;
  }
  if (scene.showMap) outlines(context, placement, scene.regions?.map, MAP, []);
  if (scene.showSegmentation) {
    outlines(context, placement, scene.regions?.segmentation, SEGMENTATION, [8, 6]);
  }
  for (const line of scene.lines) ruler(context, placement, line, scene.geometry);
  if (scene.crosshair) crosshair(context, placement, scene.crosshair);
}

function outlines(context, placement, region, color, dash) {
  if (!region) return;
  context.beginPath();
  for (const contour of region.contours) {
    // Contours run through the middles of pixels.
    contour.forEach(([x, y], index) => {
      const [left, top] = placement.toScreen([x + 0.5, y + 0.5]);
      if (index === 0) context.moveTo(left, top);
      else context.lineTo(left, top);
    });
    context.closePath();
  }
  context.lineJoin = "round";
  context.setLineDash([]);
  stroke(context, EDGE, 4.5);
  context.setLineDash(dash);
  stroke(context, color, 2);
  context.setLineDash([]);
}

function ruler(context, placement, line, geometry) {
  const [a, b] = [placement.toScreen(line.from), placement.toScreen(line.to)];
  context.beginPath();
  context.moveTo(...a);
  context.lineTo(...b);
  for (const [x, y] of [a, b]) {
    context.moveTo(x + 4, y);
    context.arc(x, y, 4, 0, 2 * Math.PI);
  }
  stroke(context, EDGE, 4);
  stroke(context, LINE, 1.5);
  const text = measured(line, geometry);
  context.font = "13px ui-monospace, 'DejaVu Sans Mono', monospace";
  const width = context.measureText(text).width;
  const [x, y] = [Math.max(a[0], b[0]) + 8, a[0] > b[0] ? a[1] : b[1]];
  context.fillStyle = EDGE;
  context.fillRect(x - 4, y - 10, width + 8, 20);
  context.fillStyle = LINE;
  context.textBaseline = "middle";
  context.fillText(text, x, y);
}

function crosshair(context, placement, point) {
  const [x, y] = placement.toScreen([Math.floor(point[0]) + 0.5, Math.floor(point[1]) + 0.5]);
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + dx * 4, y + dy * 4);
    context.lineTo(x + dx * 14, y + dy * 14);
  }
  stroke(context, EDGE, 3.5);
  stroke(context, LINE, 1.5);
}

function stroke(context, color, width) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.stroke();
}
