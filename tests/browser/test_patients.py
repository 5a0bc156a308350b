"""Patients: find one, see the history, change it, delete it with everything."""

import re
import uuid
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import submit
from tests.browser.steps import change_answers, go


def test_a_patient_is_found_and_the_history_is_along_time(page: Page, completed: str) -> None:
    go(page, "#/patients")
    page.get_by_label("Search patients").fill("kell")
    page.locator("main li a").filter(has_text="20-4471").click()
    expect(page.get_by_role("heading", name="Alma Keller")).to_be_visible()
    entries = page.locator(".timeline li:not(.year)")
    expect(entries).to_have_count(3)
    expect(entries.first).to_contain_text("Sep")
    expect(entries.last).to_contain_text("Mar")
    expect(page.locator("main svg[role=img]")).to_have_count(1)
    expect(page.get_by_text("Not a volume")).to_be_visible()
    entries.first.get_by_role("link").click()
    expect(page).to_have_url(re.compile(f"{completed}$"))


def test_a_patient_is_made_changed_and_deleted_after_a_question_that_names_what_goes(
    page: Page, api: httpx.Client, samples: list[Path]
) -> None:
    number = f"MRN {uuid.uuid4().hex[:6]}"
    go(page, "#/patients")
    page.get_by_role("button", name="New patient").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Medical record number").fill(number)
    dialog.get_by_label("Name").fill("יעל כהן")
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="יעל כהן")).to_be_visible()
    expect(page.get_by_text("No scans of this patient yet")).to_be_visible()

    page.get_by_role("button", name="Edit").click()
    dialog.get_by_label("Name").fill("Yael Cohen")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Yael Cohen")).to_be_visible()

    patient_id = page.url.rpartition("/")[2]
    scan_id = submit(api, samples[0], patient_id=patient_id)
    page.reload()
    expect(page.locator(".timeline li:not(.year)")).to_have_count(1)
    page.get_by_role("button", name="Delete").click()
    expect(dialog).to_contain_text(number)
    expect(dialog).to_contain_text("1 scan")
    dialog.get_by_role("button", name="Delete the patient").click()
    expect(page.get_by_text("The patient was deleted.")).to_be_visible()
    assert api.get(f"/v1/scans/{scan_id}").status_code == 404


def history_of(api: httpx.Client, scan_id: str) -> tuple[str, re.Pattern[str]]:
    """The page of a scan's patient, and the address of the history."""
    patient_id = api.get(f"/v1/scans/{scan_id}").json()["patient_id"]
    return f"/patients/{patient_id}", re.compile(f"/v1/patients/{patient_id}/scans")


def test_an_area_is_shown_only_where_the_spacing_is_stated(
    page: Page, api: httpx.Client, completed: str
) -> None:
    def change(history: dict[str, Any]) -> None:
        for scan in history["items"]:
            scan["classification"]["label"] = "glioma"
            scan["explanation"]["region"] = {"area_px": 400}
        newest, _, oldest = history["items"]
        newest["image"]["geometry"]["source"] = "head_size"
        oldest["classification"]["label"] = "no_tumor"

    path, address = history_of(api, completed)
    change_answers(page, address, change)
    go(page, path)
    entries = page.locator(".timeline li:not(.year)")
    expect(entries.nth(1)).to_contain_text("400 mm² in plane")
    expect(entries.first).not_to_contain_text("mm²")
    expect(entries.last).not_to_contain_text("mm²")


def test_a_trend_without_a_tumor_asks_for_no_spacing(
    page: Page, api: httpx.Client, completed: str
) -> None:
    def change(history: dict[str, Any]) -> None:
        for point in history["trend"]["points"]:
            point.update(label="no_tumor", area_mm2=None)

    path, address = history_of(api, completed)
    change_answers(page, address, change)
    go(page, path)
    chart = page.locator(".chart")
    expect(chart).to_contain_text("All are classified as no tumor, so no area.")
    expect(chart).to_have_attribute("aria-label", re.compile("from no tumor to no tumor"))


def test_more_of_a_history_comes_once(page: Page, api: httpx.Client, completed: str) -> None:
    path, address = history_of(api, completed)
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        response = route.fetch(url=route.request.url.partition("&cursor")[0])
        cursor = None if "cursor" in route.request.url else "more"
        page.wait_for_timeout(200)
        route.fulfill(response=response, json=response.json() | {"next_cursor": cursor})

    page.route(address, answer)
    go(page, path)
    page.get_by_role("button", name="Show more").dblclick()
    entries = page.locator(".timeline li:not(.year)")
    expect(entries).to_have_count(6)
    page.wait_for_timeout(500)
    expect(entries).to_have_count(6)
    assert len(asked) == 2


def test_more_of_a_list_comes_once(page: Page) -> None:
    def patient(number: int) -> dict[str, Any]:
        facts = {"id": str(number), "medical_record_number": f"M{number}", "sex": "unknown"}
        return facts | {"name": None, "birth_date": None}

    def answer(route: Route) -> None:
        first = "cursor" not in route.request.url
        if not first:
            page.wait_for_timeout(200)
        page_of = {"items": [patient(1 if first else 2)], "next_cursor": "more" if first else None}
        route.fulfill(json=page_of)

    page.route(re.compile(r"/v1/patients\?"), answer)
    go(page, "/patients")
    page.get_by_role("button", name="Show more").dblclick()
    page.wait_for_timeout(800)
    expect(page.locator("main .lines > li")).to_have_count(2)
