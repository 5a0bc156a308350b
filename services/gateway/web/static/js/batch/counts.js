// A batch in numbers.

const FAILED = ["failed", "refused"];
const OVER = [...FAILED, "completed", "canceled"];

export function counts({ total, by_state: states }) {
  const sum = (names) => names.reduce((all, name) => all + (states[name] ?? 0), 0);
  return { total, over: sum(OVER), done: sum(["completed"]), failed: sum(FAILED), canceled: sum(["canceled"]) };
}

/** As in "9 done, 1 failed, 2 to do". */
export function countWords(batch) {
  const { total, over, done, failed, canceled } = counts(batch);
  const parts = [`${done} done`];
  if (failed) parts.push(`${failed} failed`);
  if (canceled) parts.push(`${canceled} canceled`);
  if (total > over) parts.push(`${total - over} to do`);
  return parts.join(", ");
}
