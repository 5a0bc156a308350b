"""A browser, and pages that are signed in and watched."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from neuroscan.contracts.enums import Role
from neuroscan.stack import Stack
from services.gateway.web.files import FOLDER
from tests.browser.chromium import chromium
from tests.browser.watch import Watch

SAMPLES = FOLDER / "samples"
SLOW_MS = 30_000


@dataclass(frozen=True)
class Seat:
    """A page, and what watches it."""

    page: Page
    watch: Watch


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium for this folder: Playwright holds an event loop in the thread while it lives."""
    expect.set_options(timeout=15_000)
    with chromium() as browser:
        yield browser


SitDown = Callable[..., Seat]


@pytest.fixture
def sit_down(browser: Browser, stack: Stack, api: httpx.Client) -> Iterator[SitDown]:
    """Opens a page: `width`, `height`, `theme`, and `role` (None: not signed in)."""
    seats: list[Seat] = []

    def sit(
        *,
        width: int = 1280,
        height: int = 900,
        theme: Literal["dark", "light"] = "dark",
        role: Role | None = Role.ADMIN,
        touch: bool = False,
    ) -> Seat:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            has_touch=touch,
            locale="en-US",
            timezone_id="UTC",
            permissions=["clipboard-read", "clipboard-write"],
        )
        context.set_default_timeout(SLOW_MS)
        watch = Watch(context, stack.url)
        page = context.new_page()
        seats.append(Seat(page, watch))
        page.goto(stack.url if role is None else f"{stack.url}/#code={new_code(api, role)}")
        if role is not None:
            expect(page.locator("ns-status .light.ok")).to_be_visible()
        return seats[-1]

    yield sit
    for seat in seats:
        seat.page.context.close()
    for seat in seats:
        seat.watch.check()


def new_code(api: httpx.Client, role: Role) -> str:
    """A link's code for a key with this role."""
    key = api.post("/v1/keys", json={"name": "browser test", "role": role}).json()["key"]
    answer = api.post("/v1/links", headers={"Authorization": f"Bearer {key}"})
    code: str = answer.raise_for_status().json()["code"]
    return code


@pytest.fixture
def seat(sit_down: SitDown) -> Seat:
    """A page of an administrator on a laptop."""
    return sit_down()


@pytest.fixture
def page(seat: Seat) -> Page:
    return seat.page


@pytest.fixture(scope="session")
def samples() -> list[Path]:
    """The page's own sample slices."""
    return sorted(SAMPLES.glob("*.png"))


@pytest.fixture(scope="session")
def completed(api: httpx.Client, samples: list[Path]) -> str:
    """A completed scan of a patient with three scans; its id."""
    number = "20-4471"
    made = api.post("/v1/patients", json={"medical_record_number": number, "name": "Alma Keller"})
    patient_id = made.raise_for_status().json()["id"]
    scan_id = ""
    for path, month in zip(samples[1:], ("03", "06", "09"), strict=True):
        scan_id = submit(api, path, patient_id=patient_id, acquired_at=f"2026-{month}-01T09:00:00Z")
    return scan_id


def submit(api: httpx.Client, path: Path, **fields: str) -> str:
    """Send a sample as the API takes it and wait until it is over; its id."""
    known = {"pixel_spacing_mm": "1.0", "display_convention": "radiological"}
    with path.open("rb") as image:
        sent = api.post("/v1/scans", data=known | fields, files={"image": (path.name, image)})
    scan = sent.raise_for_status().json()
    while scan["state"] not in ("completed", "failed", "canceled"):
        tag = f'"{scan["version"]}"'
        again = api.get(f"/v1/scans/{scan['id']}?wait=20", headers={"If-None-Match": tag})
        scan = again.json() if again.status_code == 200 else scan
    assert scan["state"] == "completed"
    scan_id: str = scan["id"]
    return scan_id
