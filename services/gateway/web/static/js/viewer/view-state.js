// Where a viewer looks: zoom and the place in the middle, as shares of the picture, so that two
// pictures of different sizes can be looked at in step.

const ZOOM_MIN = 1;
const ZOOM_MAX = 40;

export class ViewState extends EventTarget {
  zoom = 1;
  center = { x: 0.5, y: 0.5 };

  fit() {
    this.#set(1, { x: 0.5, y: 0.5 });
  }

  /** Zooms by a factor and keeps a place (in shares of the picture) where it is on the screen. */
  zoomBy(factor, around = this.center) {
    const zoom = clamp(this.zoom * factor, ZOOM_MIN, ZOOM_MAX);
    const keep = this.zoom / zoom;
    this.#set(zoom, {
      x: around.x + (this.center.x - around.x) * keep,
      y: around.y + (this.center.y - around.y) * keep,
    });
  }

  /** Moves by shares of the picture. */
  panBy(dx, dy) {
    this.#set(this.zoom, { x: this.center.x + dx, y: this.center.y + dy });
  }

  #set(zoom, { x, y }) {
    this.zoom = zoom;
    // Half of what is seen may leave the picture's edge, no more.
    const slack = zoom === 1 ? 0 : 0.5;
    this.center = { x: clamp(x, 0.5 - slack, 0.5 + slack), y: clamp(y, 0.5 - slack, 0.5 + slack) };
    this.dispatchEvent(new Event("change"));
  }
}

/** How a picture of `width` × `height` pixels lies in a box, for a state. Sizes in CSS pixels. */
export class Placement {
  constructor(state, picture, box) {
    const tall = picture.height * picture.pixelRatio;
    this.scale = Math.min(box.width / picture.width, box.height / tall) * state.zoom;
    this.scaleY = this.scale * picture.pixelRatio;
    this.left = box.width / 2 - state.center.x * picture.width * this.scale;
    this.top = box.height / 2 - state.center.y * picture.height * this.scaleY;
    this.picture = picture;
  }

  toScreen([x, y]) {
    return [this.left + x * this.scale, this.top + y * this.scaleY];
  }

  /** Picture coordinates, in pixels and their fractions. */
  toPicture([x, y]) {
    return [(x - this.left) / this.scale, (y - this.top) / this.scaleY];
  }

  /** The same as shares of the picture. */
  toShare(point) {
    const [x, y] = this.toPicture(point);
    return { x: x / this.picture.width, y: y / this.picture.height };
  }

  get width() {
    return this.picture.width * this.scale;
  }

  get height() {
    return this.picture.height * this.scaleY;
  }
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
