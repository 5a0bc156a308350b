"""A scan that failed or was canceled waits for nothing, and says what is so."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import SCAN, change_answers, go


def end_early(scan: dict[str, Any], state: str, *, classified: bool) -> None:
    """As a scan is that ended before its map was made."""
    scan.update(state=state, explanation=None, spatial=None, report=None)
    if not classified:
        scan["classification"] = None
    for stage in scan["stages"]:
        if stage["name"] != "classify" or not classified:
            stage.update(state=state, problem=None)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("canceled", "There is no heat map: the scan was canceled before it."),
        ("failed", "There is no heat map: the scan failed before it."),
    ],
)
def test_an_ended_scan_waits_for_nothing(
    page: Page, completed: str, state: str, words: str
) -> None:
    change_answers(page, SCAN, lambda scan: end_early(scan, state, classified=True))
    go(page, f"/scans/{completed}")
    expect(page.locator(".legend")).to_have_text(words)
    expect(page.locator(".parameters")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator(".strip")).not_to_contain_text("not there yet")
    expect(page.locator(".limits")).not_to_contain_text("measured from")


def test_a_scan_that_is_canceled_while_it_is_looked_at_stops_waiting(
    page: Page, completed: str
) -> None:
    canceled = False

    def change(scan: dict[str, Any]) -> None:
        end_early(scan, "canceled" if canceled else "received", classified=False)
        scan["version"] += canceled

    page.route("**/events", lambda route: route.fulfill(status=204))
    change_answers(page, SCAN, change)
    go(page, f"/scans/{completed}")
    verdict = page.locator(".verdict-card")
    expect(verdict).to_contain_text("Waiting")
    canceled = True
    expect(verdict).to_contain_text("The scan ended before it was classified.")
    expect(verdict).not_to_contain_text("Waiting")
    expect(page.locator(".legend")).to_contain_text("was canceled")
