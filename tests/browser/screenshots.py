"""`make screenshots`: page and report in docs/images, with slices that the project draws."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import httpx
import pypdfium2
from playwright.sync_api import Browser, Page

from neuroscan.contracts.enums import Role
from neuroscan.settings import REPOSITORY
from neuroscan.stack import Stack
from tests import pictures
from tests.browser.chromium import chromium
from tests.browser.conftest import SAMPLES, new_code, submit
from tests.browser.steps import go

TARGET = REPOSITORY / "docs" / "images"
SIZE = (1280, 900)
PHONE = (360, 760)
HISTORY = (
    ("lesion-right-parietal-22mm", "2025-03-02"),
    ("lesion-left-frontal-30mm", "2025-11-10"),
    ("lesion-right-temporal-34mm-shift-8mm", "2026-08-01"),
)


def main() -> None:
    """Start a system of its own, fill it, take the pictures."""
    with Stack() as stack:
        stack.wait_ready()
        bearer = {"Authorization": f"Bearer {stack.key}"}
        with (
            httpx.Client(base_url=stack.url, headers=bearer, timeout=60, trust_env=False) as api,
            chromium() as browser,
        ):
            take_all(stack, api, browser)


def take_all(stack: Stack, api: httpx.Client, browser: Browser) -> None:
    """Every picture, each of a page of its own."""
    scan_id, patient_id = fill(api)
    batch_id = send_batch(api)

    def take(
        name: str,
        path: str,
        theme: Literal["dark", "light"],
        size: tuple[int, int] = SIZE,
        then: Callable[[Page], None] | None = None,
    ) -> None:
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,
            device_scale_factor=1,
            locale="en-US",
            timezone_id="UTC",
        )
        page = context.new_page()
        page.goto(f"{stack.url}/#code={new_code(api, Role.CLINICIAN)}")
        page.locator("ns-status .light.ok").wait_for()
        go(page, path)
        page.wait_for_load_state("networkidle")
        if then is not None:
            then(page)
        page.screenshot(path=TARGET / f"page-{name}.png")
        context.close()
        print(TARGET / f"page-{name}.png")

    take("result-dark", f"/scans/{scan_id}", "dark", (1280, 1090), shown)
    take("result-phone", f"/scans/{scan_id}", "dark", PHONE, shown)
    take("analyze", "/analyze", "light")
    take("batch", f"/batches/{batch_id}", "dark")
    take("patient", f"/patients/{patient_id}", "light")
    take("compare", f"/scans/{scan_id}/compare/earlier", "dark", SIZE, shown)
    take("model", "/model", "light")
    draw_report(api, scan_id)


def draw_report(api: httpx.Client, scan_id: str) -> None:
    """The report's first page."""
    answer = api.get(f"/v1/scans/{scan_id}/report.pdf").raise_for_status()
    with pypdfium2.PdfDocument(answer.content) as document:
        document[0].render(scale=80 / 72).to_pil().save(TARGET / "report.png", optimize=True)
    print(TARGET / "report.png")


def shown(page: Page) -> None:
    """Wait until the picture has its heat map."""
    page.get_by_text("strongest evidence").first.wait_for()
    page.wait_for_timeout(300)


def fill(api: httpx.Client) -> tuple[str, str]:
    """A patient with a history; the newest scan's id and the patient's."""
    person = {"medical_record_number": "20-4471", "name": "Alma Keller", "sex": "female"}
    patient = api.post("/v1/patients", json=person | {"birth_date": "1961-04-12"})
    patient_id: str = patient.raise_for_status().json()["id"]
    scan_id = ""
    for name, day in HISTORY:
        scan_id = submit(
            api,
            SAMPLES / f"{name}.png",
            patient_id=patient_id,
            acquired_at=f"{day}T09:30:00Z",
            reference=f"MR {day}",
        )
    return scan_id, patient_id


def send_batch(api: httpx.Client) -> str:
    """A batch with a broken file, once it is through; its id."""
    files = [(path.name, path.read_bytes()) for path in sorted(Path(SAMPLES).glob("*.png"))]
    files += [
        (f"slice-{number:02}.png", pictures.png(pictures.head(seed=number))) for number in range(7)
    ]
    files.insert(6, ("broken.png", files[0][1][:900]))
    answer = api.post("/v1/batches", files=[("images", file) for file in files])
    batch = answer.raise_for_status().json()
    while not batch["done"]:
        batch = api.get(f"/v1/batches/{batch['id']}?wait=10").json()
    batch_id: str = batch["id"]
    return batch_id


if __name__ == "__main__":
    main()
