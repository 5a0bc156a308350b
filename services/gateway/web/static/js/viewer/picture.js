// Pictures of a scan as the viewer uses them: gray values to read, and the slice through a window.

/** A picture from the API, decoded; the values are those of the file, not of a color profile. */
export async function loadBitmap(path, signal) {
  const answer = await fetch(path, { credentials: "same-origin", cache: "no-cache", signal });
  if (!answer.ok) throw new Error(`picture: ${answer.status}`);
  return createImageBitmap(await answer.blob(), { colorSpaceConversion: "none" });
}

/** A gray slice and its display window, both on the scale of the file's 0 to 255. */
export class SlicePicture {
  pixelRatio = 1;
  window = { level: 127.5, width: 255 };
  #gray;
  #canvas;
  #shown = null;

  constructor(bitmap) {
    this.width = bitmap.width;
    this.height = bitmap.height;
    this.#canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = this.#context();
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    this.#gray = new Uint8ClampedArray(bitmap.width * bitmap.height);
    for (let index = 0; index < this.#gray.length; index += 1) this.#gray[index] = data[index * 4];
    this.#shown = "0 255";
  }

  /** The gray value at a pixel, or null outside. */
  valueAt(x, y) {
    const [column, row] = [Math.floor(x), Math.floor(y)];
    const inside = column >= 0 && row >= 0 && column < this.width && row < this.height;
    return inside ? this.#gray[row * this.width + column] : null;
  }

  setWindow(level, width) {
    this.window = {
      level: Math.min(Math.max(level, 0), 255),
      width: Math.min(Math.max(width, 2), 510),
    };
  }

  resetWindow() {
    this.window = { level: 127.5, width: 255 };
  }

  /** The slice through its window, to be drawn. */
  canvas() {
    const { level, width } = this.window;
    const low = level - width / 2;
    const key = `${low} ${width}`;
    if (key !== this.#shown) {
      this.#shown = key;
      this.#paint(low, width);
    }
    return this.#canvas;
  }

  #paint(low, width) {
    const table = new Uint32Array(256);
    for (let value = 0; value < 256; value += 1) {
      const gray = Math.min(Math.max(Math.round(((value - low) / width) * 255), 0), 255);
      table[value] = 0xff000000 | (gray << 16) | (gray << 8) | gray;
    }
    const image = new ImageData(this.width, this.height);
    const out = new Uint32Array(image.data.buffer);
    for (let index = 0; index < out.length; index += 1) out[index] = table[this.#gray[index]];
    this.#context().putImageData(image, 0, 0);
  }

  #context() {
    return this.#canvas.getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  }
}
