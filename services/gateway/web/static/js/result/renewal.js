// Waits for the report that a verdict has made anew: a scan that is over tells of nothing by itself.

import { get } from "../core/api.js";

const LOOK_EVERY_MS = 1000;
const GIVE_UP_MS = 120000;

/**
 * What to call with the scan as a change left it. `take(scan)` gets each look, `note(text)` how the
 * report stands; a later change begins anew.
 */
export function reportRenewal(path, { take, note, signal }) {
  let turn = 0;
  return async (changed) => {
    if (!changed.report) return;
    turn += 1;
    const mine = turn;
    const ends = Date.now() + GIVE_UP_MS;
    note("The report is being renewed.");
    while (Date.now() < ends) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      if (signal.aborted || mine !== turn) return;
      // A look that fails is followed by another.
      const now = await get(path, { signal }).catch(() => null);
      if (signal.aborted || mine !== turn) return;
      if (now) take(now);
      if (now?.report?.version > changed.report.version) {
        note("");
        return;
      }
    }
    note("The report is still the one before your verdict. Load the page again later.");
  };
}
