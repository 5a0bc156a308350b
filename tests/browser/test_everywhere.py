"""Every page, in both themes, on a phone and on a desk: readable, in place, light."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from neuroscan.contracts.enums import Role
from tests.browser.conftest import SitDown
from tests.browser.steps import go

PAGES = ("analyze", "analyze/batch", "scans", "batches", "patients", "model", "keys")
SERIOUS = ("serious", "critical")
_SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
_LOADED = """() => performance.getEntriesByType("resource").concat(
    performance.getEntriesByType("navigation")).map((each) => each.transferSize)"""


def findings(page: Page) -> list[str]:
    """What axe-core finds serious, with the place."""
    response = Axe().run(page).response
    return [
        f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]}"
        for each in response["violations"]
        if each["impact"] in SERIOUS
    ]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_are_accessible_and_fit(
    sit_down: SitDown, completed: str, theme: str, width: int
) -> None:
    page = sit_down(theme=theme, width=width).page
    wrong = []
    for path in (*PAGES, f"scans/{completed}"):
        go(page, f"#/{path}")
        if path.startswith("scans/"):
            expect(page.get_by_role("link", name="PDF report")).to_be_visible()
        wrong += [f"{path}: {finding}" for finding in findings(page)]
        if (sideways := page.evaluate(_SIDEWAYS)) > 0:
            wrong.append(f"{path}: {sideways} px wider than the screen")
        expect(page.get_by_text("Research use only. Not for diagnosis.").first).to_be_visible()
    assert wrong == []


def test_the_form_of_somebody_who_is_not_signed_in(sit_down: SitDown) -> None:
    for theme in ("dark", "light"):
        page = sit_down(theme=theme, role=None, width=360).page
        expect(page.get_by_label("API key")).to_be_visible()
        assert findings(page) == []


def test_the_first_view_is_light_and_soon_ready(sit_down: SitDown) -> None:
    page = sit_down(role=Role.SUBMITTER).page
    weight = sum(page.evaluate(_LOADED))
    ready_ms = page.evaluate("() => performance.getEntriesByName('interactive')[0].startTime")
    print(f"\nfirst view: {weight / 1000:.0f} kB, interactive after {ready_ms:.0f} ms")
    assert weight < 150_000


def test_the_theme_is_chosen_and_kept(sit_down: SitDown) -> None:
    page = sit_down(theme="dark").page
    before = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name=re.compile("theme|light|dark", re.IGNORECASE)).click()
    page.reload()
    expect(page.locator("ns-status .light.ok")).to_be_visible()
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") != before
