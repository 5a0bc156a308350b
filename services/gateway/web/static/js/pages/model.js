// The model in use: what it is, how good it is, how readers find it, its whole card.

import { get, Problem } from "../core/api.js";
import { h } from "../core/dom.js";
import { renew } from "../core/focus.js";
import { may } from "../core/session.js";
import { failureOf, waiting } from "../core/states.js";
import { METHODS } from "../core/words.js";
import { agreementCard } from "../model/agreement.js";
import { figures, sections } from "../model/markdown.js";
import { confusion, numbers } from "../model/numbers.js";

export function show({ main, title }) {
  title("Model");
  const ending = new AbortController();
  const { signal } = ending;
  const load = async () => {
    renew(main, h("h1", { class: "visually-hidden" }, "Model"), waiting(48, 120, 200, 400));
    const [facts, card] = await Promise.allSettled([get("/v1/model", { signal }), get("/v1/model/card", { signal })]);
    if (signal.aborted) return;
    if (facts.status === "rejected" && card.status === "rejected") {
      renew(main, failureOf(card.reason, load));
      return;
    }
    draw(main, facts, card, signal);
  };
  load();
  return () => ending.abort();
}

function draw(main, facts, card, signal) {
  const known = facts.value ?? null;
  const written = card.value ?? null;
  const name = known?.model ?? written;
  renew(
    main,
    h("div", { class: "head" }, h("div", {}, h("h1", {}, `Model ${name.name} ${name.version}`), h("p", { class: "meta mono" }, name.sha256.slice(0, 16)))),
    written && known && written.sha256 !== known.model.sha256 && otherModel(),
    written && numbers(written, known),
    h("div", { class: "two" }, known ? use(known) : failureOf(facts.reason), (written && confusion(written)) ?? h("div")),
    may("clinician") && agreementCard(signal),
    written
      ? [gallery(written), h("article", { class: "card prose" }, h("h2", {}, "The card"), sections(written.markdown).map(section))]
      : missing(card.reason),
  );
}

function use(known) {
  const { explanation, segmentation } = known;
  const facts = [
    ["Runs on", known.device === "cuda" ? `CUDA, ${known.device_name ?? "GPU"}` : "CPU"],
    ["Engine", `${known.engine}, ${known.precision}`],
    ["Input", `${known.input_size} × ${known.input_size} px`],
    ["Coverage of sets", `${Math.round(known.coverage * 100)} %`],
    ["Temperature", known.temperature.toFixed(3)],
    ["Heat map", `${METHODS[explanation.method]} at ${explanation.layer}`],
    ["Segmentation", segmentation ? `fitted on ${segmentation.fitted_on}` : "none"],
    ["License", known.license],
  ];
  return h("section", { class: "card" }, h("h2", {}, "In use"), h("dl", { class: "facts" }, facts.map(([term, text]) => [h("dt", {}, term), h("dd", {}, text)])));
}

function section({ title, elements }) {
  if (title === null) return elements;
  return h("details", {}, h("summary", {}, title), h("div", {}, elements));
}

function gallery(card) {
  const found = figures(card.markdown)
    .map(({ words, path }) => ({ words, name: path.split("/").at(-1) }))
    .filter(({ name }) => card.figures.includes(name));
  if (found.length === 0) return null;
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Figures"),
    h(
      "div",
      { class: "gallery" },
      found.map(({ words, name }) => {
        const src = `/v1/model/figures/${encodeURIComponent(name)}`;
        return h(
          "a",
          { href: src, target: "_blank" },
          h("figure", {}, h("img", { src, alt: "", loading: "lazy" }), h("figcaption", {}, words)),
        );
      }),
    ),
  );
}

function otherModel() {
  return h(
    "div",
    { class: "message warn", role: "note" },
    "The card below is of another model than the one that answers. Set MODEL_BUNDLE of the gateway to the bundle in use.",
  );
}

function missing(error) {
  const gone = error instanceof Problem && error.status === 404;
  return gone ? h("p", { class: "muted" }, error.detail) : failureOf(error);
}
