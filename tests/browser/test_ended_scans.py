"""A scan that failed or was canceled waits for nothing, and says what is so."""

import json
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import EVENTS_BY_HAND, SCAN, change_answers, go


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
    page: Page, api: httpx.Client, completed: str
) -> None:
    page.evaluate(EVENTS_BY_HAND)
    change_answers(page, SCAN, lambda scan: end_early(scan, "received", classified=False))
    page.evaluate("path => { location.hash = path }", f"/scans/{completed}")
    verdict = page.locator(".verdict-card")
    expect(verdict).to_contain_text("Waiting")
    scan = api.get(f"/v1/scans/{completed}").json()
    end_early(scan, "canceled", classified=False)
    page.evaluate(
        "data => source.dispatchEvent(new MessageEvent('snapshot', { data }))", json.dumps(scan)
    )
    expect(verdict).to_contain_text("The scan ended before it was classified.")
    expect(verdict).not_to_contain_text("Waiting")
    expect(page.locator(".legend")).to_contain_text("was canceled")
