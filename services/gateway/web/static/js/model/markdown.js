// The part of Markdown that a model's card uses, as elements: sections, paragraphs, lists, tables,
// bold, code, links. No HTML passes.

import { h } from "../core/dom.js";

const INLINE = /(\*\*[^*]+\*\*|`[^`]+`|\[[^\]]+\]\([^)]+\))/;

const FIGURE = /!\[(.*?)\]\(([^)\s]+\.png)\)/g;

/** The sections under their `##`, as `{ title, elements }`; what stands before the first has no title. */
export function sections(text) {
  return text.split(/^(?=## )/m).map((part) => {
    const [, title] = /^## (.*)/.exec(part) ?? [];
    return { title: title ?? null, elements: elementsOf(title ? part.replace(/^## .*/, "") : part) };
  });
}

/** The figures of a text, in their order: `{ words, path }`. */
export function figures(text) {
  return [...text.matchAll(FIGURE)].map(([, words, path]) => ({ words, path }));
}

function elementsOf(text) {
  const lines = text.replace(FIGURE, "").split("\n");
  const out = [];
  while (lines.length > 0) {
    const line = lines[0];
    if (!line.trim()) lines.shift();
    else if (line.startsWith("#")) out.push(heading(lines.shift()));
    else if (line.startsWith("|")) out.push(table(takeWhile(lines, (each) => each.startsWith("|"))));
    else if (line.startsWith("- ")) out.push(list(takeItems(lines)));
    else out.push(h("p", {}, inline(takeWhile(lines, isText).join(" "))));
  }
  return out.filter(Boolean);
}

function isText(line) {
  return Boolean(line.trim()) && !/^(#|\||- )/.test(line);
}

function takeWhile(lines, fits) {
  const taken = [];
  while (lines.length > 0 && fits(lines[0])) taken.push(lines.shift());
  return taken;
}

function takeItems(lines) {
  const items = [];
  while (lines.length > 0 && (lines[0].startsWith("- ") || lines[0].startsWith("  "))) {
    const line = lines.shift();
    if (line.startsWith("- ")) items.push(line.slice(2));
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  return items;
}

function heading(line) {
  const [, marks, text] = /^(#+)\s*(.*)$/.exec(line);
  // The page has its own title.
  if (marks.length === 1) return null;
  return h("h3", {}, inline(text));
}

function list(items) {
  return h("ul", {}, items.map((item) => h("li", {}, inline(item))));
}

function table(lines) {
  const [head, , ...rows] = lines.map((line) => line.replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim()));
  const named = head.some((cell) => cell !== "");
  return h(
    "div",
    { class: "scroll", tabIndex: 0, role: "group", "aria-label": named ? `Table: ${head.filter(Boolean).join(", ")}` : "Table" },
    h(
      "table",
      {},
      named && h("thead", {}, h("tr", {}, head.map((cell) => (cell ? h("th", { scope: "col" }, inline(cell)) : h("td"))))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, at) => (at === 0 ? h("th", { scope: "row" }, inline(cell)) : h("td", {}, inline(cell))))))),
    ),
  );
}

function inline(text) {
  return text.split(INLINE).map((part) => {
    if (part.startsWith("**")) return h("strong", {}, part.slice(2, -2));
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    const link = /^\[([^\]]+)\]\(([^)]+)\)$/.exec(part);
    // Links of a card lead to files beside it, which the page does not have.
    return link ? link[1] : part;
  });
}
