"""One slice: from the file to the whole result."""

import json
import re
from pathlib import Path

import pypdf
from playwright.sync_api import Page, expect

from tests.browser.conftest import Seat, SitDown
from tests.browser.steps import (
    CLASS_NAMES,
    DEFAULT_METHOD,
    PARAMETERS,
    choose_file,
    go,
    wait_for_result,
)
from tests.unit.imaging import files

_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    if (!entry.hadRecentInput) window.shifts.push([entry.value, location.hash]);
  }
}).observe({ type: "layout-shift", buffered: true });
"""
# What Chromium calls good is below 0.1.
SHIFT_MAX = 0.02


def test_a_sample_gives_its_whole_result_in_place(seat: Seat) -> None:
    page = seat.page
    page.evaluate(_SHIFTS)
    page.get_by_role("button", name="Use a sample").click()
    page.get_by_role("button", name="right temporal").click()
    expect(page.get_by_label("Pixel spacing, mm")).to_have_value("1")
    page.get_by_role("button", name="Analyze", exact=True).click()
    # The label comes with the upload's answer, while the rest is still being made.
    verdict = page.locator(".verdict-card")
    expect(verdict.locator("strong").first).to_have_text(CLASS_NAMES)
    expect(verdict).to_contain_text("At 95 % coverage (nominal): ")
    wait_for_result(page)
    for name in PARAMETERS:
        row = page.get_by_role("row").filter(has=page.get_by_role("button", name=name, exact=True))
        expect(row.locator(".standing")).to_have_text(
            re.compile("^(measured|estimated|surrogate|not assessable)$")
        )
    expect(page.locator(".stage.done")).to_have_count(4)
    for alt in ("Original slice", f"{DEFAULT_METHOD} heat map", "Overlay with outlines"):
        expect(page.get_by_role("img", name=alt)).to_be_visible()
    page.wait_for_timeout(300)
    shifts = page.evaluate("window.shifts")
    print(f"\nlayout shifts: {shifts}")
    assert sum(value for value, _ in shifts) < SHIFT_MAX


def test_method_and_assumptions_open_on_demand(page: Page, completed: str) -> None:
    go(page, f"/scans/{completed}")
    button = page.get_by_role("button", name="Tumor volume", exact=True)
    expect(page.get_by_text("Ellipsoid: volume")).to_be_hidden()
    button.click()
    expect(page.get_by_text("Ellipsoid: volume")).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")


def saved(page: Page, name: str, folder: Path) -> bytes:
    """What a link of the menu gives."""
    page.get_by_role("button", name="More").click()
    with page.expect_download() as download:
        page.get_by_role("link", name=name).click()
    download.value.save_as(folder / "file")
    return (folder / "file").read_bytes()


def test_pdf_json_and_png_are_downloads(page: Page, completed: str, tmp_path: Path) -> None:
    go(page, f"/scans/{completed}")
    with page.expect_download() as pdf:
        page.get_by_role("link", name="PDF report").click()
    pdf.value.save_as(tmp_path / "report.pdf")
    assert pypdf.PdfReader(tmp_path / "report.pdf").pages
    assert json.loads(saved(page, "Scan as JSON", tmp_path))["id"] == completed
    assert saved(page, "Overlay as PNG", tmp_path).startswith(b"\x89PNG")
    with page.expect_download() as view:
        page.get_by_role("button", name="Save this view as a PNG").click()
    assert view.value.suggested_filename.endswith("-view.png")


def test_a_file_that_cannot_be_read_is_told_in_words_and_another_one_works(
    seat: Seat, samples: list[Path]
) -> None:
    seat.watch.expected = {415, 422}
    page = seat.page
    whole = samples[0].read_bytes()
    choose_file(page, whole[:2000], "cut.png")
    expect(page.get_by_role("alert").filter(has_text="Export or send it again")).to_be_visible()
    page.get_by_role("button", name="Remove the file").click()
    choose_file(page, b"no picture at all", "notes.txt", "text/plain")
    expect(page.get_by_role("alert").filter(has_text="JPEG, PNG")).to_be_visible()
    page.get_by_role("button", name="Remove the file").click()
    choose_file(page, whole, "whole.png")
    expect(page.locator(".verdict strong")).to_have_text(CLASS_NAMES)


def test_a_picture_that_is_no_brain_says_so_first(page: Page) -> None:
    choose_file(page, files.encode(files.gradient(128, 128), "PNG"), "gradient.png")
    first = page.locator(".notices .message").first
    expect(first).to_contain_text("does not look like a brain-MRI slice")
    expect(page.locator(".verdict strong")).to_have_text("Turned away by the input check")
    expect(page.locator(".verdict-card")).to_contain_text("No class can be ruled out")


def test_a_pasted_and_a_dropped_picture_are_taken(page: Page, samples: list[Path]) -> None:
    deliver = """([bytes, kind]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], "given.png", { type: "image/png" }));
      const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
        : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
      document.body.dispatchEvent(event);
    }"""
    for kind in ("paste", "drop"):
        page.evaluate(deliver, [list(samples[0].read_bytes()), kind])
        expect(page.get_by_text("given.png")).to_be_visible()
        page.get_by_role("button", name="Remove the file").click()


def test_a_scan_can_be_deleted_after_a_question(page: Page, samples: list[Path]) -> None:
    choose_file(page, samples[0].read_bytes(), "gone.png")
    wait_for_result(page)
    address = page.url
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Delete the scan").click()
    question = page.get_by_role("dialog", name="Delete this scan?")
    expect(question).to_contain_text("its reviews and its report")
    question.get_by_role("button", name="Delete the scan").click()
    expect(page.get_by_text("The scan was deleted.")).to_be_visible()
    assert page.url.endswith("#/scans")
    expect(page.get_by_role("heading", name="Scans")).to_be_visible()
    expect(page.locator(f"main a[href$='{address.split('/')[-1]}']")).to_have_count(0)


def test_dicom_brings_its_own_sides_and_spacing(sit_down: SitDown) -> None:
    page = sit_down().page
    axial = [1, 0, 0, 0, 1, 0]
    pixels = files.gradient(256, 256)
    dataset = files.dicom(pixels, PixelSpacing=[0.5, 0.5], ImageOrientationPatient=axial)
    choose_file(page, files.to_file(dataset), "slice.dcm", "application/dicom")
    expect(page.get_by_text("DICOM · axial · 256 × 256 px · 0.50 × 0.50 mm")).to_be_visible()
    viewer = page.locator("ns-viewer")
    expect(viewer.locator(".sides .left")).to_have_text("R")
    expect(viewer.locator(".sides .right")).to_have_text("L")
    expect(viewer.locator(".bottom-right")).to_contain_text("mm")


def test_without_events_the_page_asks_by_itself(seat: Seat, samples: list[Path]) -> None:
    page = seat.page
    seat.watch.expected = {404}
    page.route("**/events", lambda route: route.fulfill(status=404, body=""))
    choose_file(page, samples[0].read_bytes(), "no-events.png")
    wait_for_result(page)


def test_a_patient_who_was_typed_and_not_picked_is_asked_about(
    page: Page, completed: str, samples: list[Path]
) -> None:
    patient = page.get_by_role("combobox", name="Patient")
    patient.fill("20-44")
    choose_file(page, samples[0].read_bytes(), "whose.png")
    expect(patient).to_be_focused()
    assert page.url.endswith(("/", "#/analyze"))
    page.get_by_role("option").filter(has_text="20-4471").click()
    page.get_by_role("button", name="Analyze", exact=True).click()
    expect(page.locator(".head")).to_contain_text("20-4471")


def test_another_analysis_stands_beside_the_first(page: Page, completed: str) -> None:
    go(page, f"/scans/{completed}")
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Analyze again").click()
    later = page.locator("section").filter(has=page.get_by_role("heading", name="Later analyses"))
    expect(later.get_by_role("row")).to_have_count(3)
    expect(later.get_by_role("row").last).to_contain_text(CLASS_NAMES, timeout=30_000)


def test_a_file_with_frames_asks_for_one(seat: Seat) -> None:
    seat.watch.expected = {422}
    page = seat.page
    choose_file(page, files.animated_png(3), "frames.png")
    expect(page.get_by_label("Frame")).to_be_focused()
    page.get_by_label("Frame").fill("1")
    page.get_by_role("button", name="Analyze", exact=True).click()
    expect(page.locator(".verdict-card")).to_contain_text("The network answers")
