"""Patients: find one, see the history, change it, delete it with everything."""

import re
import uuid
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from tests.browser.conftest import submit
from tests.browser.steps import go


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
