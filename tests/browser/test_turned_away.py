"""A picture that the input check turned away is nowhere shown as a result."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import submit
from tests.browser.steps import SCAN, change_answers, go
from tests.unit.imaging import files

WORDS = "Turned away by the input check"


@pytest.fixture
def turned_away(api: httpx.Client, tmp_path: Path) -> str:
    """A picture that is no slice, of a patient; the scan's id."""
    path = tmp_path / "gradient.png"
    path.write_bytes(files.encode(files.gradient(128, 128), "PNG"))
    made = api.post("/v1/patients", json={"medical_record_number": f"away {tmp_path.name}"})
    scan_id = submit(api, path, patient_id=made.raise_for_status().json()["id"])
    assert not api.get(f"/v1/scans/{scan_id}").json()["input_check"]["accepted"]
    return scan_id


def test_the_result_names_no_class_and_no_region(page: Page, turned_away: str) -> None:
    go(page, f"/scans/{turned_away}")
    expect(page.locator(".verdict")).to_have_text(WORDS)
    limits = page.locator(".limits")
    expect(limits).to_contain_text(
        "The input check turned the picture away, so no region is measured."
    )
    expect(limits).not_to_contain_text("The parameters are measured from")
    expect(limits).not_to_contain_text("inside the tumor")


def test_a_reader_may_say_what_it_is_and_agrees_with_nothing(
    page: Page, api: httpx.Client, turned_away: str
) -> None:
    go(page, f"/scans/{turned_away}")
    card = page.locator(".review-card")
    expect(card.get_by_role("button", name="Agree")).to_have_count(0)
    label = api.get(f"/v1/scans/{turned_away}").json()["classification"]["label"]
    card.get_by_label("Read it as").select_option(label)
    card.get_by_role("button", name="Save verdict").click()
    expect(card.locator(".given")).to_contain_text("Reads it as ")
    review = api.get(f"/v1/scans/{turned_away}").json()["review"]
    assert (review["label"], review["agrees"]) == (label, True)


def test_later_analyses_and_comparisons_name_no_class(
    page: Page, api: httpx.Client, turned_away: str, samples: list[Path]
) -> None:
    api.post(f"/v1/scans/{turned_away}/reanalyze").raise_for_status()
    go(page, f"/scans/{turned_away}")
    rows = page.locator("section").filter(has_text="Later analyses").locator("tbody tr")
    expect(rows).to_have_count(2)
    for row in rows.all():
        expect(row.locator("td").nth(1)).to_have_text(WORDS, timeout=30_000)
    patient_id = api.get(f"/v1/scans/{turned_away}").json()["patient_id"]
    submit(api, samples[0], patient_id=patient_id)
    go(page, f"/scans/{turned_away}/compare/other")
    expect(page.locator(".compare-head strong")).to_have_text(WORDS)


def test_no_area_is_shown_of_it(page: Page, api: httpx.Client, completed: str) -> None:
    patient_id = api.get(f"/v1/scans/{completed}").json()["patient_id"]

    def turn_away(history: dict[str, Any]) -> None:
        for scan in history["items"]:
            scan["classification"] |= {"label": "glioma", "prediction_set": ["glioma"]}
            scan["explanation"]["region"] = {"area_px": 400}
            scan["input_check"]["accepted"] = scan["id"] != completed

    change_answers(page, re.compile(f"/v1/patients/{patient_id}/scans"), turn_away)
    go(page, f"/patients/{patient_id}")
    entries = page.locator(".timeline li:not(.year)")
    away = page.locator(f"a[href='#/scans/{completed}']")
    expect(entries.filter(has=away)).to_contain_text(WORDS)
    expect(entries.filter(has=away)).not_to_contain_text("mm²")
    expect(entries.filter(has_not=away).last).to_contain_text("400 mm² in plane")


def test_a_batch_neither_filters_nor_sorts_it_by_class(page: Page, api: httpx.Client) -> None:
    sent = [("images", (f"{number}.png", b"no picture")) for number in range(3)]
    batch = api.post("/v1/batches", files=sent).json()
    whole = {"state": "completed", "label": "glioma", "problem": None}

    def change(answer: dict[str, Any]) -> None:
        answer["by_state"] = {"completed": 3}
        for item, confidence, accepted in zip(
            answer["items"], (0.99, 0.6, 0.8), (False, True, True), strict=True
        ):
            item.update(whole, confidence=confidence, input_accepted=accepted)

    change_answers(page, re.compile(f"/v1/batches/{batch['id']}$"), change)
    go(page, f"/batches/{batch['id']}")
    tiles = page.locator(".tile .file")
    page.get_by_label("Sorted by").select_option("label")
    expect(tiles).to_have_text(["2.png", "1.png", "0.png"])
    page.get_by_label("Sorted by").select_option("unsure")
    expect(tiles).to_have_text(["0.png", "1.png", "2.png"])
    page.get_by_label("Shown").select_option("glioma")
    expect(tiles).to_have_text(["1.png", "2.png"])
    page.get_by_label("Shown").select_option("turned-away")
    expect(tiles).to_have_text(["0.png"])


def test_no_tumor_means_that_no_region_is_measured(page: Page, completed: str) -> None:
    found = {"label": "no_tumor", "prediction_set": ["no_tumor"]}
    change_answers(page, SCAN, lambda scan: scan["classification"].update(found))
    go(page, f"/scans/{completed}")
    limits = page.locator(".limits")
    expect(limits).to_contain_text("The slice is classified as no tumor, so no region is measured.")
    expect(limits).not_to_contain_text("The parameters are measured from")
    expect(limits).not_to_contain_text("inside the tumor")
