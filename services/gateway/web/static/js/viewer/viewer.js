// <ns-viewer>: one slice with its heat map and outlines, to be looked at closely.

import { words } from "../core/api.js";
import { h } from "../core/dom.js";
import { CLASSES, isFinal } from "../core/words.js";
import { describe } from "./describe.js";
import { paint } from "./draw.js";
import { exported, saveFile } from "./export.js";
import { Explanations } from "./methods.js";
import { loadBitmap, SlicePicture } from "./picture.js";
import { act } from "./shortcuts.js";
import { PictureText } from "./text.js";
import { legend, toolbar } from "./toolbar.js";
import { listen } from "./tools.js";
import { Placement, ViewState } from "./view-state.js";

const PAN_STEP = 0.04;
const WINDOW_STEP = 4;

export class Viewer extends HTMLElement {
  // A finger that drags over the picture scrolls the page, until a tool is chosen.
  tool = matchMedia("(pointer: coarse)").matches ? "pan" : "window";
  opacity = 0.6;
  showSlice = true;
  showMap = true;
  showSegmentation = true;
  showText = true;
  picture = null;
  explanation = null;
  method = null;
  loading = false;
  trouble = "";
  state = new ViewState();
  withMethods = true;
  #scan = null;
  #explanations = null;
  #heat = null;
  #lines = [];
  #open = null;
  #crosshair = null;
  #frame = 0;
  #ending = new AbortController();
  #canvas = h("canvas", { tabIndex: 0, role: "application", "aria-roledescription": "picture" });
  #text = new PictureText();
  #legend = legend();
  #bar = null;

  connectedCallback() {
    const { signal } = this.#ending;
    this.#bar = toolbar(this, { withMethods: this.withMethods });
    const stage = h("div", { class: "picture" }, this.#canvas, this.#text.element);
    this.replaceChildren(this.#bar.element, stage, this.#legend.element);
    listen(this.#canvas, this);
    this.#canvas.addEventListener("keydown", (event) => {
      if (act(event, this)) event.preventDefault();
    });
    this.state.addEventListener("change", () => this.#paintSoon(), { signal });
    const sizes = new ResizeObserver(() => this.#paintSoon());
    sizes.observe(this.#canvas);
    signal.addEventListener("abort", () => sizes.disconnect());
    this.#changed();
  }

  disconnectedCallback() {
    this.#ending.abort();
    cancelAnimationFrame(this.#frame);
  }

  /** Shows a scan as it is now; called again at each change of it. */
  show(scan) {
    const first = this.#scan === null;
    const before = this.#scan?.explanation?.id;
    this.#scan = scan;
    if (first) this.#load(() => this.#loadSlice());
    if (scan.explanation && scan.explanation.id !== before) {
      this.#explanations = new Explanations(scan);
      this.#load(() => this.#take(scan.explanation));
    }
    this.#changed();
  }

  get regions() {
    return this.explanation?.regions ?? null;
  }

  get explained() {
    return this.explanation !== null;
  }

  get targetWords() {
    return CLASSES[this.explanation.target_label].toLowerCase();
  }

  get waitingWords() {
    const { state, explanation } = this.#scan ?? {};
    if (explanation) return "The heat map is being loaded.";
    if (!isFinal(state)) return "The heat map is being made.";
    return `There is no heat map: the scan ${state === "canceled" ? "was canceled" : "failed"} before it.`;
  }

  /** Which of the three pictures this is, or null where it was changed to something else. */
  get view() {
    const outlines = [this.showMap, this.showSegmentation];
    if (outlines.every(Boolean)) return this.showSlice && this.opacity > 0 ? "overlay" : null;
    if (outlines.some(Boolean)) return null;
    if (!this.showSlice) return "map";
    return this.opacity === 0 ? "original" : null;
  }

  get heat() {
    return this.#heat;
  }

  get geometry() {
    return this.#scan.image.geometry;
  }

  placement() {
    return new Placement(this.state, this.picture, this.#box());
  }

  setTool(tool) {
    this.tool = tool;
    this.#crosshair = tool === "ruler" ? this.#crosshair : null;
    this.#changed();
  }

  setOpacity(opacity) {
    this.opacity = Math.min(Math.max(Math.round(opacity * 100) / 100, 0), 1);
    this.showSlice = true;
    this.#changed();
  }

  toggleHeat() {
    this.setOpacity(this.opacity > 0 ? 0 : 0.6);
  }

  toggle(name) {
    this[name] = !this[name];
    this.#changed();
  }

  /** One of the three pictures of the paper: `original`, `map`, `overlay`. */
  setView(view) {
    this.showSlice = view !== "map";
    this.opacity = view === "original" ? 0 : 0.6;
    this.showMap = view === "overlay";
    this.showSegmentation = view === "overlay";
    this.#changed();
  }

  changeWindow(level, width) {
    const now = this.picture.window;
    this.picture.setWindow(now.level + level, now.width + width);
    this.#paintSoon();
  }

  resetWindow() {
    this.picture?.resetWindow();
    this.#paintSoon();
  }

  reset() {
    this.resetWindow();
    this.state.fit();
  }

  /** An arrow key: what dragging does with the present tool. */
  arrow(dx, dy, far) {
    if (!this.picture) return;
    if (this.tool === "window") this.changeWindow(-dy * WINDOW_STEP, dx * WINDOW_STEP);
    else if (this.tool === "pan") {
      const step = PAN_STEP / this.state.zoom;
      this.state.panBy(dx * step, dy * step);
    } else {
      const [x, y] = this.#crosshair ?? [this.picture.width / 2, this.picture.height / 2];
      const step = far ? 10 : 1;
      this.#crosshair = [x + dx * step, y + dy * step];
      if (this.#open) this.#open.to = this.#crosshair;
      this.pointAt(this.#crosshair);
      this.#paintSoon();
    }
  }

  /** Begins or ends a line where the cross is. */
  setPoint() {
    if (this.tool !== "ruler" || !this.#crosshair) return;
    if (this.#open) this.#open = null;
    else this.beginLine(this.#crosshair);
  }

  beginLine(point) {
    this.#open = { from: point, to: point };
    this.#lines.push(this.#open);
    this.#paintSoon();
  }

  moveLine(point) {
    if (this.#open) this.#open.to = point;
    this.#paintSoon();
  }

  endLine() {
    const { from, to } = this.#open ?? { from: [0, 0], to: [9, 9] };
    if (Math.hypot(to[0] - from[0], to[1] - from[1]) < 1) this.#lines.pop();
    this.#open = null;
    this.#paintSoon();
  }

  clearLines() {
    this.#lines = [];
    this.#open = null;
    this.#crosshair = null;
    this.#paintSoon();
  }

  pointAt(point) {
    const value = point && this.picture ? this.picture.valueAt(...point) : null;
    this.#text.showValue(point, value);
  }

  async chooseMethod(method) {
    if (!this.#explanations || this.loading || method === this.method) return;
    const before = this.method;
    this.method = method;
    this.loading = true;
    this.trouble = "";
    this.#changed();
    try {
      await this.#take(await this.#explanations.byMethod(method, this.#ending.signal));
    } catch (error) {
      if (this.#ending.signal.aborted) return;
      this.method = before;
      this.trouble = words(error);
    }
    this.loading = false;
    this.#changed();
  }

  /** The picture as it is shown, as a file that says what it is. */
  async save() {
    if (!this.picture) return;
    saveFile(await exported(this.#canvas, this.#scan, this), `scan-${this.#scan.id}-view.png`);
  }

  async #load(work) {
    try {
      await work();
    } catch {
      if (this.#ending.signal.aborted) return;
      this.trouble = "A picture could not be loaded. Load the page again when the server answers.";
    }
    this.#changed();
  }

  async #loadSlice() {
    this.picture = new SlicePicture(await loadBitmap(this.#scan.links.slice, this.#ending.signal));
  }

  async #take(explanation) {
    this.#heat = await loadBitmap(explanation.images.heatmap, this.#ending.signal);
    this.explanation = explanation;
    this.method = explanation.method;
    this.dispatchEvent(new CustomEvent("explanation", { detail: explanation }));
  }

  #changed() {
    if (!this.#scan || !this.isConnected) return;
    const { row_mm: row, column_mm: column } = this.geometry;
    if (this.picture) this.picture.pixelRatio = row && column ? row / column : 1;
    this.#canvas.setAttribute("aria-label", describe(this.#scan, this));
    this.#canvas.dataset.tool = this.tool;
    this.#text.element.hidden = !this.showText;
    this.#text.showSides(this.geometry);
    this.#bar.show();
    this.#legend.show(this);
    this.dispatchEvent(new Event("view"));
    this.#paintSoon();
  }

  #box() {
    return { width: this.#canvas.clientWidth, height: this.#canvas.clientHeight };
  }

  #paintSoon() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#paint());
  }

  #paint() {
    const box = this.#box();
    const dense = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(box.width * dense), Math.round(box.height * dense)];
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    this.#canvas.classList.toggle("zoomed", this.state.zoom > 1);
    const context = this.#canvas.getContext("2d");
    if (!this.picture) {
      paint(context, box, { picture: null });
      return;
    }
    const placement = this.placement();
    this.#text.showView(this.state.zoom, this.picture.window, placement, this.geometry);
    paint(context, box, {
      picture: this.picture,
      placement,
      heat: this.#heat,
      opacity: this.opacity,
      showSlice: this.showSlice,
      showMap: this.showMap,
      showSegmentation: this.showSegmentation,
      regions: this.regions,
      lines: this.#lines,
      crosshair: this.#crosshair,
      geometry: this.geometry,
    });
  }
}

customElements.define("ns-viewer", Viewer);
