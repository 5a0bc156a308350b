"""Without a mouse: every step by keyboard, and the focus is always to be seen."""

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Seat

_OUTLINE = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
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
