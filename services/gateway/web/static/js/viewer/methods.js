// A scan's explanations by method: the one that came with it, and others made when asked for.

import { get, post, Problem } from "../core/api.js";

const LOOK_EVERY_MS = 500;
const GIVE_UP_MS = 60000;
const OVER = ["failed", "canceled"];

export class Explanations {
  #path;
  #ready = new Map();

  constructor(scan) {
    this.#path = `/v1/scans/${scan.id}/explanations`;
    this.#ready.set(scan.explanation.method, scan.explanation);
    this.layer = scan.explanation.layer;
  }

  /** The explanation by this method at the scan's layer, made now if there is none. */
  async byMethod(method, signal) {
    if (!this.#ready.has(method)) {
      const found = (await this.#earlier(method, signal)) ?? (await this.#make(method, signal));
      this.#ready.set(method, found);
    }
    return this.#ready.get(method);
  }

  async #earlier(method, signal) {
    const { items } = await get(this.#path, { signal });
    const found = items.find((each) => this.#fits(each, method));
    if (!found) return null;
    return found.explanation ?? this.#wait(found.id, signal);
  }

  #fits(each, method) {
    return each.method === method && each.layer === this.layer && !OVER.includes(each.state);
  }

  async #make(method, signal) {
    const made = await post(this.#path, { method, layer: this.layer }, { signal });
    return made.explanation ?? this.#wait(made.id, signal);
  }

  async #wait(id, signal) {
    const ends = Date.now() + GIVE_UP_MS;
    while (Date.now() < ends) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      signal?.throwIfAborted();
      const now = await get(`${this.#path}/${id}`, { signal });
      if (now.explanation) return now.explanation;
      if (OVER.includes(now.state)) {
        throw new Problem({
          title: "The map could not be made.",
          detail: now.problem?.detail ?? "The explain stage failed. Try again.",
        });
      }
    }
    throw new Problem({
      title: "The map takes long.",
      detail: "The explain workers are busy or away. Try again in a minute.",
    });
  }
}
