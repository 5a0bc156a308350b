// Lists that come in pages: the first at once, the others by a button.

import { get } from "./api.js";
import { h, replace, workButton } from "./dom.js";
import { failureOf, waiting } from "./states.js";

/**
 * A list of what `path` gives page by page. `draw(items)` makes the elements of a page, `nothing`
 * stands where there are none. `query` may change: `reload(query)`.
 */
export function pagedList({ path, draw, nothing, tag = "ul", look, signal }) {
  const list = h(tag, { class: look });
  const foot = h("div", { class: "row" });
  const place = h("div", { class: "stack" });
  let turn = 0;
  const ask = async (query, cursor, mine) => {
    const sent = new URLSearchParams({ ...query, ...(cursor ? { cursor } : {}) });
    const page = await get(`${path}?${sent}`, { signal });
    if (mine !== turn) return;
    if (!cursor) {
      replace(list);
      replace(place, page.items.length > 0 ? [list, foot] : nothing(query));
    }
    list.append(...draw(page.items));
    const more = () => next(query, page.next_cursor, mine);
    replace(foot, page.next_cursor && workButton("Show more", more));
  };
  const next = async (query, cursor, mine) => {
    try {
      await ask(query, cursor, mine);
    } catch (error) {
      if (!signal.aborted && mine === turn) replace(foot, failureOf(error, () => next(query, cursor, mine)));
    }
  };
  const reload = async (query = {}) => {
    turn += 1;
    const mine = turn;
    if (!place.contains(list)) replace(place, waiting(64, 64, 64, 64));
    try {
      await ask(query, null, mine);
    } catch (error) {
      if (!signal.aborted && mine === turn) replace(place, failureOf(error, () => reload(query)));
    }
  };
  return { element: place, reload };
}
