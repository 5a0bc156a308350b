// The server's light: ready, degraded or down; device, model, queue. Details on click.

import { get, isReachable, server } from "../core/api.js";
import { h, replace, setText } from "../core/dom.js";
import { elapsed, plural } from "../core/format.js";

const EVERY_MS = 10000;
const WHEN_LOST_MS = 2500;
const WORDS = { ok: "Ready", degraded: "Degraded", down: "Down" };
const PARTS = {
  postgres: "the database",
  object_store: "the object store",
  broker: "the message broker",
  inference: "the inference service",
  reports: "the reports service",
  recorder: "the recorder",
  explain: "the explain workers",
  spatial: "the spatial workers",
};

class Status extends HTMLElement {
  #timer = null;
  #light = h("i", { class: "light" });
  #word = h("span", {}, "Connecting");
  #more = h("span", { class: "more" });
  #details = h("dl", { class: "facts" });
  #ending = null;

  connectedCallback() {
    const popover = h("div", { class: "popover", id: "status-details", popover: "auto" }, this.#details);
    const button = h(
      "button",
      { class: "status-button", type: "button", popovertarget: "status-details" },
      this.#light,
      h("span", { class: "visually-hidden" }, "Server: "),
      this.#word,
      this.#more,
    );
    replace(this, button, popover);
    this.#ending = new AbortController();
    const { signal } = this.#ending;
    server.addEventListener("lost", () => this.#lost(), { signal });
    server.addEventListener("found", () => this.#ask(), { signal });
    document.addEventListener("visibilitychange", () => !document.hidden && this.#ask(), { signal });
    this.#ask();
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    this.#ending?.abort();
  }

  async #ask() {
    clearTimeout(this.#timer);
    if (!document.hidden) {
      try {
        this.#show(await get("/v1/status", { signal: this.#ending.signal }));
      } catch {
        if (this.#ending.signal.aborted) return;
        this.#lost();
      }
    }
    this.#again(isReachable() ? EVERY_MS : WHEN_LOST_MS);
  }

  #again(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ask(), ms);
  }

  #lost() {
    this.#light.className = "light down";
    setText(this.#word, isReachable() ? "Down" : "No connection");
    replace(this.#more);
    replace(this.#details, pair("Server", "does not answer; the page asks again every few seconds"));
    this.#again(WHEN_LOST_MS);
  }

  #show(status) {
    const device = deviceWords(status.device);
    this.#light.className = `light ${status.status}`;
    setText(this.#word, device ? `${WORDS[status.status]} · ${device}` : WORDS[status.status]);
    replace(
      this.#more,
      h("span", {}, `queue ${status.queue.waiting}`),
      status.model && h("span", {}, `model ${status.model.version}`),
    );
    const missing = status.degraded.map((part) => PARTS[part] ?? part).join(", ");
    const accepted = status.status === "degraded" ? ". Scans are accepted and wait for it." : "";
    const oldest = status.queue.waiting ? `, the oldest for ${elapsed(status.queue.oldest_s * 1000)}` : "";
    replace(
      this.#details,
      pair("Server", WORDS[status.status].toLowerCase()),
      missing && pair("Does not answer", `${missing}${accepted}`),
      pair("Runs on", device || "not known while inference is away"),
      pair("Model", status.model ? `${status.model.name} ${status.model.version}` : "not known"),
      pair("Queue", `${plural(status.queue.waiting, "step")} waiting${oldest}`),
    );
  }
}

function deviceWords({ device, name }) {
  if (!device) return "";
  return device === "cuda" ? `CUDA, ${name ?? "GPU"}` : device.toUpperCase();
}

function pair(term, text) {
  return [h("dt", {}, term), h("dd", {}, text)];
}

customElements.define("ns-status", Status);
