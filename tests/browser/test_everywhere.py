"""Every page, in both themes, on a phone and on a desk: readable, in place, light."""

import re

import httpx
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
    sit_down: SitDown, api: httpx.Client, completed: str, theme: str, width: int
) -> None:
    page = sit_down(theme=theme, width=width).page
    wrong = []
    for path in (*PAGES, *pages_of(api, completed)):
        go(page, f"#/{path}")
        if path.startswith("scans/"):
            expect(page.get_by_text("strongest evidence").first).to_be_visible()
        wrong += [f"{path}: {finding}" for finding in findings(page)]
        if (sideways := page.evaluate(_SIDEWAYS)) > 0:
            wrong.append(f"{path}: {sideways} px wider than the screen")
        expect(page.get_by_text("Research use only. Not for diagnosis.").first).to_be_visible()
    assert wrong == []


def pages_of(api: httpx.Client, scan_id: str) -> tuple[str, ...]:
    """The pages of a scan, of its patient, and of a batch with a file that failed."""
    patient_id = api.get(f"/v1/scans/{scan_id}").json()["patient_id"]
    broken = ("images", ("broken.png", b"no picture"))
    batch = api.post("/v1/batches", files=[broken]).raise_for_status().json()
    return (
        f"scans/{scan_id}",
        f"scans/{scan_id}/compare/earlier",
        f"patients/{patient_id}",
        f"batches/{batch['id']}",
    )


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_dialogs_and_menus_are_accessible(sit_down: SitDown, completed: str, theme: str) -> None:
    page = sit_down(theme=theme).page
    wrong = []
    for path, button in (
        ("analyze", "Use a sample"),
        ("patients", "New patient"),
        ("keys", "New key"),
        (f"scans/{completed}", "Keys and gestures"),
        (f"scans/{completed}", "More"),
    ):
        go(page, f"#/{path}")
        page.get_by_role("button", name=button, exact=True).click()
        wrong += [f"{button}: {finding}" for finding in findings(page)]
        page.keyboard.press("Escape")
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
    # A second is the aim on a quiet machine; other tests may keep this one busy.
    assert ready_ms < 5_000


def test_the_theme_is_chosen_and_kept(sit_down: SitDown) -> None:
    page = sit_down(theme="dark").page
    before = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name=re.compile("theme|light|dark", re.IGNORECASE)).click()
    page.reload()
    expect(page.locator("ns-status .light.ok")).to_be_visible()
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") != before
