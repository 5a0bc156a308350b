"""What stands in large letters is never more certain than the prediction set."""

import re
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import SCAN, change_answers, go

SHARES = {"glioma": 0.02, "meningioma": 0.512, "no_tumor": 0.008, "pituitary": 0.46}
OPEN = "Whether there is a tumor at all is not settled at 95 % coverage (nominal)."
BOTH = "Meningioma 51 % or pituitary 46 %"


def says(*classes: str, **shares: float) -> dict[str, Any]:
    """A classification's fields with this prediction set; the first class is the label."""
    probabilities = SHARES | shares
    return {
        "label": classes[0],
        "confidence": probabilities[classes[0]],
        "probabilities": probabilities,
        # In no order that means anything.
        "prediction_set": sorted(classes, reverse=True),
    }


def show(page: Page, scan_id: str, found: dict[str, Any]) -> None:
    change_answers(page, SCAN, lambda scan: scan["classification"].update(found))
    go(page, f"/scans/{scan_id}")


def test_one_class_stands_with_its_confidence(page: Page, completed: str) -> None:
    show(page, completed, says("meningioma", meningioma=0.93))
    expect(page.locator(".verdict")).to_have_text("Meningioma 93 %")
    expect(page.locator(".set")).to_have_text("At 95 % coverage (nominal): meningioma.")
    expect(page.locator(".notices")).not_to_contain_text(OPEN)


def test_two_classes_stand_side_by_side(page: Page, completed: str) -> None:
    show(page, completed, says("meningioma", "pituitary"))
    expect(page.locator(".verdict")).to_have_text(BOTH)
    line = "At 95 % coverage (nominal): meningioma or pituitary."
    expect(page.locator(".set")).to_have_text(line)
    expect(page.locator(".notices")).not_to_contain_text(OPEN)


def test_a_set_with_and_without_a_tumor_leaves_open_whether_there_is_one(
    page: Page, completed: str
) -> None:
    show(page, completed, says("no_tumor", "glioma", "pituitary", no_tumor=0.5, glioma=0.3))
    expect(page.locator(".verdict")).to_have_text("No tumor 50 %, pituitary 46 % or glioma 30 %")
    expect(page.locator(".notices")).to_contain_text(OPEN)


def test_all_four_classes_rule_nothing_out(page: Page, completed: str) -> None:
    show(page, completed, says("meningioma", "glioma", "no_tumor", "pituitary"))
    expect(page.locator(".verdict strong")).to_have_text("No class can be ruled out")
    expect(page.locator(".verdict small")).to_have_text("Likeliest: meningioma 51 %")
    expect(page.locator(".notices")).to_contain_text(OPEN)


def test_lists_and_comparisons_say_the_whole_set(
    page: Page, api: httpx.Client, completed: str
) -> None:
    found = says("meningioma", "pituitary")

    def change(answer: dict[str, Any]) -> None:
        for scan in answer.get("items", [answer]):
            if scan["classification"]:
                scan["classification"].update(found)

    change_answers(page, re.compile(r"/v1/(scans|patients/[^/]+/scans)\?"), change)
    change_answers(page, SCAN, change)
    go(page, "/scans")
    row = page.locator(f"main a[href$='{completed}']")
    expect(row).to_contain_text(BOTH)
    go(page, f"/scans/{completed}/compare/earlier")
    for heading in page.locator(".compare-head").all():
        expect(heading).to_contain_text(BOTH)
    expect(page.get_by_label("Compared with").locator("option").first).to_contain_text(BOTH)
    patient_id = api.get(f"/v1/scans/{completed}").json()["patient_id"]
    go(page, f"/patients/{patient_id}")
    expect(page.locator(".timeline")).to_contain_text(BOTH)


@pytest.mark.parametrize(
    ("prediction_set", "words"),
    [
        (None, "Meningioma 51 %"),
        (["meningioma", "pituitary"], "Meningioma 51 % or pituitary"),
        (["meningioma", "pituitary", "no_tumor", "glioma"], "No class can be ruled out"),
    ],
)
def test_a_batchs_tiles_say_the_set_where_the_api_gives_one(
    page: Page, api: httpx.Client, prediction_set: list[str] | None, words: str
) -> None:
    batch = api.post("/v1/batches", files=[("images", ("broken.png", b"no picture"))]).json()
    item = {
        "state": "completed",
        "label": "meningioma",
        "confidence": 0.512,
        "input_accepted": True,
        "problem": None,
    }

    def change(answer: dict[str, Any]) -> None:
        answer["by_state"] = {"completed": 1}
        answer["items"][0].update(item, prediction_set=prediction_set)

    change_answers(page, re.compile(f"/v1/batches/{batch['id']}$"), change)
    go(page, f"/batches/{batch['id']}")
    expect(page.locator(".tile strong")).to_have_text(words)


def test_the_trends_table_names_the_set(page: Page, api: httpx.Client, completed: str) -> None:
    patient_id = api.get(f"/v1/scans/{completed}").json()["patient_id"]

    def change(history: dict[str, Any]) -> None:
        for point in history["trend"]["points"]:
            point.update(label="glioma", prediction_set=["glioma", "meningioma"])

    change_answers(page, re.compile(f"/v1/patients/{patient_id}/scans"), change)
    go(page, f"/patients/{patient_id}")
    page.get_by_text("As a table").click()
    cells = page.locator(".trend tbody tr").first.locator("td")
    expect(cells.nth(1)).to_have_text("Glioma or meningioma")
