// Numbers and times as the page writes them: units, sensible digits, a dash for what is not known.

export const DASH = "—";
// A number and its sign stay on one line.
const NARROW = "\u00a0";

/** A number with at most `digits` significant digits; whole above that. */
export function number(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return DASH;
  if (value === 0) return "0";
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value))));
  const rounded = Number(value.toFixed(Math.min(decimals, 20)));
  if (rounded === 0) return "0";
  const less = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(rounded))));
  return rounded.toFixed(Math.min(decimals, less, 20)).replace("-", "−");
}

/** Millimeters without their unit: one decimal below 10, none above. */
export function length(mm) {
  return mm < 9.95 ? mm.toFixed(1) : mm.toFixed(0);
}

/** A share in percent that is never rounded up to certainty or down to nothing. */
export function percent(share, decimals = 0) {
  if (share === null || share === undefined) return DASH;
  const step = 10 ** -decimals;
  const value = 100 * share;
  if (share > 0 && share < 1) {
    if (value > 100 - step / 2) return `>${NARROW}${(100 - step).toFixed(decimals)}${NARROW}%`;
    if (value < step / 2) return `<${NARROW}${step.toFixed(decimals)}${NARROW}%`;
  }
  return `${value.toFixed(decimals)}${NARROW}%`;
}

const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

export function moment(text) {
  return text ? MOMENT.format(new Date(text)) : DASH;
}

/** A day. One without a time, as a birth date, is no moment in any time zone. */
export function day(text) {
  if (!text) return DASH;
  return DAY.format(new Date(text.length === 10 ? `${text}T12:00:00` : text));
}

/** The reader's day as a form holds it, `2026-03-01` (Sweden writes it so). */
export function today() {
  return new Date().toLocaleDateString("sv-SE");
}

/** Seconds or milliseconds. */
export function elapsed(ms) {
  return ms < 950 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export function bytes(count) {
  if (count < 1024) return `${count} bytes`;
  if (count < 1024 * 1024) return `${Math.round(count / 1024)} KiB`;
  return `${(count / 1024 / 1024).toFixed(1)} MiB`;
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/** `a`, `a or b`, `a, b or c`. */
export function oneOf(list, word = "or") {
  if (list.length < 2) return list[0] ?? "";
  return `${list.slice(0, -1).join(", ")} ${word} ${list.at(-1)}`;
}

/** With a capital letter and a full stop. */
export function sentence(text) {
  const trimmed = (text ?? "").trim();
  if (!trimmed) return "";
  const end = /[.?!:]$/.test(trimmed) ? "" : ".";
  return trimmed[0].toUpperCase() + trimmed.slice(1) + end;
}

/** An id short enough to read out; unique among the scans that stand side by side. */
export function shortId(id) {
  return id.slice(-8);
}
