// What the pointer does on the picture: window, pan, ruler; wheel and pinch zoom.

const WHEEL = 0.0015;
const WINDOW_STEP = 0.8;

/** Listens on the canvas. `viewer` offers `tool`, `state`, `picture`, `placement()`, and changes. */
export function listen(canvas, viewer) {
  const pointers = new Map();
  let action = null;
  let pinch = null;

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (!viewer.picture || event.button > 2) return;
    pointers.set(event.pointerId, place(event));
    canvas.setPointerCapture(event.pointerId);
    if (pointers.size === 2) {
      action = null;
      pinch = spread(pointers);
      return;
    }
    action = actionOf(event, viewer.tool);
    if (action === "ruler") viewer.beginLine(viewer.placement().toPicture(place(event)));
  });

  canvas.addEventListener("pointermove", (event) => {
    const now = place(event);
    if (!viewer.picture) return;
    viewer.pointAt(viewer.placement().toPicture(now));
    const before = pointers.get(event.pointerId);
    if (!before) return;
    pointers.set(event.pointerId, now);
    if (pointers.size === 2) {
      const next = spread(pointers);
      viewer.state.zoomBy(next.distance / pinch.distance, viewer.placement().toShare(next.middle));
      move(viewer, next.middle[0] - pinch.middle[0], next.middle[1] - pinch.middle[1]);
      pinch = next;
      return;
    }
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    if (action === "pan") move(viewer, dx, dy);
    else if (action === "window") viewer.changeWindow(-dy * WINDOW_STEP, dx * WINDOW_STEP);
    else if (action === "ruler") viewer.moveLine(viewer.placement().toPicture(now));
  });

  const end = (event) => {
    pointers.delete(event.pointerId);
    if (action === "ruler") viewer.endLine();
    action = null;
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => viewer.pointAt(null));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", () => viewer.state.fit());
  canvas.addEventListener(
    "wheel",
    (event) => {
      // The page scrolls past a picture that nobody works on.
      if (document.activeElement !== canvas && !event.ctrlKey) return;
      event.preventDefault();
      const pixels = event.deltaMode === 0 ? event.deltaY : event.deltaY * 30;
      viewer.state.zoomBy(Math.exp(-pixels * WHEEL), viewer.placement().toShare(place(event)));
    },
    { passive: false },
  );
}

function actionOf(event, tool) {
  if (event.button === 1 || event.button === 2 || event.shiftKey) return "pan";
  return tool;
}

function move(viewer, dx, dy) {
  const placement = viewer.placement();
  viewer.state.panBy(-dx / placement.width, -dy / placement.height);
}

function spread(pointers) {
  const [a, b] = [...pointers.values()];
  return {
    distance: Math.max(Math.hypot(a[0] - b[0], a[1] - b[1]), 1),
    middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2],
  };
}
