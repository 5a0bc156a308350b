// Elements from plain calls. Text is always a text node: nothing that is shown is ever read as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: `class`, `on…` handlers, `data`, attributes, and properties by their name. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** Puts other children in the place of those that are there. */
export function replace(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

/** Sets a text only where it differs, so that a live region speaks of changes only. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

let lastId = 0;

/** An id that no other element has. */
export function newId(stem) {
  lastId += 1;
  return `${stem}-${lastId}`;
}

/** A field with its label, and room for a hint. */
export function field(label, control, hint) {
  control.id ||= newId("field");
  const note = hint ? h("span", { class: "hint", id: `${control.id}-hint` }, hint) : null;
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, note);
}

/** A `select` of `[value, words]` pairs. */
export function choice(options, props = {}) {
  const { value, ...rest } = props;
  const select = h(
    "select",
    rest,
    options.map(([key, words]) => h("option", { value: key }, words)),
  );
  if (value !== undefined) select.value = value;
  return select;
}

/** A button whose work runs once at a time. */
export function workButton(text, act) {
  const work = async () => {
    button.disabled = true;
    try {
      await act();
    } finally {
      button.disabled = false;
    }
  };
  const button = h("button", { type: "button", onclick: work }, text);
  return button;
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.setAttribute("class", value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("aria-") || element instanceof SVGElement) {
      element.setAttribute(name, value);
    } else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false);
}
