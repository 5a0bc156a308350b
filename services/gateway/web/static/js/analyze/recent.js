// The newest scans, beside the upload.

import { get } from "../core/api.js";
import { h, replace } from "../core/dom.js";
import { empty, failureOf, waiting } from "../core/states.js";
import { scanRow } from "../scans/row.js";

const SHOWN = 6;

export function recentScans(signal) {
  const list = h("div", {}, waiting(56, 56, 56, 56, 56, 56));
  const load = async () => {
    try {
      const { items } = await get(`/v1/scans?limit=${SHOWN}`, { signal });
      if (items.length === 0) {
        replace(list, empty("No scans yet", "Results appear here. A sample shows what they look like."));
        return;
      }
      replace(list, h("ul", { class: "scan-rows" }, items.map(scanRow)));
    } catch (error) {
      if (!signal.aborted) replace(list, failureOf(error, load));
    }
  };
  load();
  return h(
    "section",
    { class: "card recent" },
    h("h2", {}, "Recent scans"),
    list,
    h("p", { class: "small" }, h("a", { href: "#/scans" }, "All scans")),
  );
}
