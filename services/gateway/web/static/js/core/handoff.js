// What one page already knows and the next would otherwise ask for again.

const kept = new Map();

export function handOver(path, value) {
  kept.set(path, value);
}

/** The value, once. */
export function takeOver(path) {
  const value = kept.get(path) ?? null;
  kept.delete(path);
  return value;
}
