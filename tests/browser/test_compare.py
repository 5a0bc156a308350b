"""Two scans side by side: which ones, and how another is chosen."""

import re
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from tests.browser.conftest import submit
from tests.browser.steps import SCAN, change_answers, go


def ids(api: httpx.Client, scan_id: str) -> list[str]:
    """The patient's scans, newest first."""
    patient_id = api.get(f"/v1/scans/{scan_id}").json()["patient_id"]
    history = api.get(f"/v1/patients/{patient_id}/scans").json()
    return [scan["id"] for scan in history["items"]]


def test_the_earliest_scan_has_none_before_it(
    page: Page, api: httpx.Client, completed: str
) -> None:
    earliest = ids(api, completed)[-1]
    go(page, f"/scans/{earliest}/compare/earlier")
    expect(page.get_by_text("There is no earlier scan")).to_be_visible()
    expect(page.locator("ns-viewer")).to_have_count(1)
    page.get_by_label("Compared with").select_option(completed)
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("ns-viewer")).to_have_count(2)
    assert page.url.endswith(f"/scans/{earliest}/compare/{completed}")


def test_an_unknown_scan_is_not_replaced_by_another(page: Page, completed: str) -> None:
    go(page, f"/scans/{completed}/compare/019aaaaa-0000-7000-8000-000000000000")
    expect(page.get_by_text("There is no such scan of this patient")).to_be_visible()
    expect(page.locator("ns-viewer")).to_have_count(1)


def test_a_scan_without_a_class_is_compared_too(page: Page, completed: str) -> None:
    def unclassified(scan: dict[str, Any]) -> None:
        scan.update(state="failed", classification=None, explanation=None, spatial=None)

    change_answers(page, SCAN, unclassified)
    go(page, f"/scans/{completed}/compare/earlier")
    expect(page.locator("ns-viewer")).to_have_count(2)
    expect(page.locator(".compare-head").last).to_contain_text("Failed")


def test_a_scan_of_nobody_has_no_other(page: Page, api: httpx.Client, samples: list[Path]) -> None:
    scan_id = submit(api, samples[0])
    go(page, f"/scans/{scan_id}/compare/earlier")
    expect(page.get_by_text("There is no other scan of this patient")).to_be_visible()


def test_arrow_keys_choose_and_the_button_goes(
    page: Page, api: httpx.Client, completed: str
) -> None:
    go(page, f"/scans/{completed}/compare/earlier")
    pick = page.get_by_label("Compared with")
    pick.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(300)
    assert page.url.endswith("/compare/earlier")
    page.get_by_role("button", name="Compare", exact=True).press("Enter")
    expect(page).to_have_url(re.compile(f"/compare/{ids(api, completed)[-1]}$"))
