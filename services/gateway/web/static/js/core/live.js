// Follows a scan or a batch: server-sent events, and long polling where they do not come through.

import { call, get, isReachable, isRefusal, noteReachable, remove } from "./api.js";

const EVENTS_WAIT_MS = 4000;
const PAUSES_MS = [500, 1000, 2000, 4000, 8000];
const SNAPSHOT = "snapshot";
const END = "end";
const CHANGE = "change";
// What this page itself deletes.
const removed = new Set();

/**
 * Calls `onValue(value)` at each change of what `path` names, until `isOver(value)`.
 * `snapshotIsValue`: a stream's first event holds what a GET would give. Returns what ends it.
 */
export function follow(path, { onValue, isOver, snapshotIsValue = true, onGone = () => {} }) {
  const ending = new AbortController();
  const state = { etag: null, over: false, snapshotIsValue };
  const take = (value) => {
    if (ending.signal.aborted || !value) return;
    state.over = isOver(value);
    onValue(value);
  };
  run(path, take, state, ending.signal).catch((error) => {
    if (!ending.signal.aborted && !removed.has(path)) onGone(error);
  });
  return () => ending.abort();
}

/** Deletes what may be followed; whoever follows it is not told that it is gone. */
export async function removeFollowed(path) {
  removed.add(path);
  try {
    await remove(path);
  } catch (error) {
    removed.delete(path);
    throw error;
  }
}

async function run(path, take, state, signal) {
  if (await byEvents(path, take, state, signal)) return;
  await byPolling(path, take, state, signal);
}

/** True when the story ended; false when polling has to go on with it. */
function byEvents(path, take, state, signal) {
  return new Promise((resolve) => {
    const source = new EventSource(`${path}/events`);
    let opened = false;
    let asking = null;
    let again = false;
    const finish = (ended) => {
      clearTimeout(timer);
      source.close();
      resolve(ended || state.over);
    };
    const timer = setTimeout(() => !opened && finish(false), EVENTS_WAIT_MS);
    const read = async () => {
      try {
        do {
          again = false;
          take(await get(path, { signal }));
        } while (again);
      } catch {
        finish(false);
      }
      asking = null;
    };
    // Changes may come faster than answers: one question at a time, and one more if need be.
    const ask = () => {
      again = asking !== null;
      asking ??= read();
      return asking;
    };
    const live = () => {
      opened = true;
      noteReachable(true);
    };
    source.onopen = live;
    source.addEventListener(SNAPSHOT, (event) => {
      if (state.snapshotIsValue) take(parsed(event.data));
      else ask();
    });
    source.addEventListener(CHANGE, ask);
    source.addEventListener(END, async () => {
      source.close();
      await ask();
      // Over is what was read as over: a question that failed is asked again by polling.
      finish(false);
    });
    source.onerror = () => {
      // The browser tries again by itself as long as the server answers at all.
      if (source.readyState === EventSource.CLOSED || !isReachable() || opened) finish(false);
    };
    signal.addEventListener("abort", () => finish(true));
  });
}

async function byPolling(path, take, state, signal) {
  let failures = 0;
  while (!state.over && !signal.aborted) {
    try {
      const wait = state.etag ? "?wait=20" : "";
      const answer = await call("GET", `${path}${wait}`, { etag: state.etag, signal });
      failures = 0;
      state.etag = answer.etag;
      take(answer.data);
      if (!answer.etag) await pause(1000, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (isRefusal(error)) throw error;
      const usual = PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)];
      await pause(Math.max(usual, (error.retryAfter || 0) * 1000), signal);
      failures += 1;
    }
  }
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
