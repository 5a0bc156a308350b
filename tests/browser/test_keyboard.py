"""Without a mouse: every step by keyboard, and the focus is always to be seen."""

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Seat
from tests.browser.steps import SCAN, choose_file, go, wait_for_result
from tests.unit.imaging import files

_OUTLINE = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
}"""

_ADDED = """() => {
  window.added = 0;
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const each of addedNodes) {
        if (each.matches?.(".message.warn") && each.closest(".notices")) window.added += 1;
      }
    }
  }).observe(document.querySelector("main"), { childList: true, subtree: true });
}"""


def tab_to(page: Page, wanted: Locator, most: int = 60) -> None:
    """Press Tab until this has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.count() and wanted.evaluate("each => each === document.activeElement"):
            assert page.evaluate(_OUTLINE), f"the focus on {wanted} can't be seen"
            return
    raise AssertionError(f"{wanted} can't be reached by Tab")


def test_from_the_sample_to_the_report_by_keyboard(seat: Seat) -> None:
    page = seat.page
    tab_to(page, page.get_by_role("button", name="Use a sample"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="right temporal"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Analyze", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="PDF report")).to_be_visible(timeout=60_000)
    tab_to(page, page.locator(".picture canvas"))
    page.keyboard.press("?")
    sheet = page.get_by_role("dialog")
    expect(sheet).to_contain_text("Zoom")
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    tab_to(page, page.get_by_role("button", name="Agree: "))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Your verdict is kept.")).to_be_visible()


def test_the_skip_link_leads_into_the_page_that_is_shown(page: Page) -> None:
    go(page, "#/scans")
    page.get_by_role("link", name="Skip to the content").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Scans")).to_be_visible()
    # Or its heading, when the page is drawn anew after that.
    expect(page.locator("main:focus, main :focus")).to_have_count(1)
    assert page.url.endswith("#/scans")


def test_the_focus_goes_to_the_heading_of_what_was_loaded(page: Page, completed: str) -> None:
    for path in (f"scans/{completed}", f"scans/{completed}/compare/earlier", "model"):
        go(page, f"#/{path}")
        expect(page.locator("h1")).to_be_visible()
        expect(page.locator("h1")).to_be_focused()


def test_an_open_menu_stays_when_its_items_change(seat: Seat, samples: list[Path]) -> None:
    page = seat.page
    seat.watch.expected = {404}
    held: list[Route] = []
    let_go = False

    def answer(route: Route) -> None:
        if let_go:
            route.continue_()
        else:
            held.append(route)

    # The scan stays as the upload's answer had it until it is let go.
    page.route("**/events", lambda route: route.fulfill(status=404, body=""))
    page.route(SCAN, answer)
    choose_file(page, samples[0].read_bytes(), "menu.png")
    page.get_by_role("button", name="More").press("Enter")
    first = page.get_by_role("link", name="Scan as JSON")
    expect(first).to_be_focused()
    expect(page.get_by_role("button", name="Analyze again")).to_have_count(0)
    let_go = True
    for route in held:
        route.continue_()
    expect(page.get_by_role("button", name="Analyze again")).to_be_visible(timeout=60_000)
    expect(first).to_be_focused()


def test_the_result_is_announced_once(page: Page, samples: list[Path]) -> None:
    choose_file(page, samples[0].read_bytes(), "announced.png")
    status = page.locator("main > p[role=status]")
    expect(status).to_have_text(re.compile("^Classified: .*[.]$"))
    expect(status).to_have_text(re.compile("Completed[.]$"), timeout=60_000)


def test_a_warning_is_not_read_out_again_at_each_step(page: Page) -> None:
    page.evaluate(_ADDED)
    choose_file(page, files.encode(files.gradient(128, 128), "PNG"), "gradient.png")
    wait_for_result(page)
    assert page.evaluate("window.added") == 1
