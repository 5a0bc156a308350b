"""Dialogs: they end with their page, and nothing is lost by a click that missed."""

from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Seat
from tests.browser.steps import go


def box_of(dialog: Locator) -> tuple[float, float]:
    """The left upper corner."""
    box = dialog.bounding_box()
    assert box
    return box["x"], box["y"]


def open_new_patient(page: Page) -> Locator:
    go(page, "#/patients")
    page.get_by_role("button", name="New patient").first.click()
    dialog = page.get_by_role("dialog", name="New patient")
    expect(dialog).to_be_visible()
    return dialog


def test_going_back_closes_an_open_dialog(page: Page) -> None:
    dialog = open_new_patient(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Analyze a scan")).to_be_attached()
    expect(dialog).to_have_count(0)


def test_the_end_of_a_session_closes_an_open_dialog(seat: Seat) -> None:
    seat.watch.expected = {401}
    page = seat.page
    dialog = open_new_patient(page)
    page.context.clear_cookies()
    # Whoever comes back to the page asks for the server's state at once.
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.get_by_text("The session has ended.")).to_be_visible()
    expect(dialog).to_have_count(0)


def test_only_a_click_that_begins_and_ends_beside_a_dialog_closes_it(page: Page) -> None:
    dialog = open_new_patient(page)
    left, top = box_of(dialog)
    page.mouse.click(left + 6, top + 6)
    expect(dialog).to_be_visible()

    page.mouse.move(left + 60, top + 40)
    page.mouse.down()
    page.mouse.move(left - 60, top + 40, steps=4)
    page.mouse.up()
    expect(dialog).to_be_visible()

    page.mouse.click(left - 60, top + 40)
    expect(dialog).to_have_count(0)


def test_a_new_key_is_not_lost_by_a_click_beside_it(page: Page) -> None:
    go(page, "#/keys")
    page.get_by_role("button", name="New key").click()
    page.get_by_label("Name").fill("kept")
    page.get_by_role("button", name="Create key").click()
    dialog = page.get_by_role("dialog", name="The new key")
    expect(dialog).to_contain_text("nsk_")
    page.mouse.click(5, 300)
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Done").click()
    expect(dialog).to_have_count(0)


def test_a_dialog_stays_while_it_sends(seat: Seat) -> None:
    page = seat.page
    seat.watch.expected = {409}
    dialog = open_new_patient(page)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/v1/patients", hold)
    dialog.get_by_label("Medical record number").fill("1")
    dialog.get_by_role("button", name="Create").click()
    for _ in range(3):
        page.keyboard.press("Escape")
    page.mouse.click(5, 300)
    page.wait_for_timeout(200)
    expect(dialog).to_be_visible()
    held[0].fulfill(status=409, json={"title": "There is one.", "detail": "Take another number."})
    expect(dialog).to_contain_text("Take another number.")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
