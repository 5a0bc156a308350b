"""A reader's verdict stands in the scan, in the history and in the agreement."""

from pathlib import Path

import httpx
from playwright.sync_api import Page, expect

from tests.browser.conftest import submit
from tests.browser.steps import go


def test_a_reader_agrees_and_thinks_again(
    page: Page, api: httpx.Client, samples: list[Path]
) -> None:
    scan_id = submit(api, samples[1])
    label = api.get(f"/v1/scans/{scan_id}").json()["classification"]["label"]
    other = "pituitary" if label != "pituitary" else "glioma"
    go(page, f"#/scans/{scan_id}")
    verdict = page.locator("section", has=page.get_by_role("heading", name="Reader's verdict"))
    verdict.get_by_role("button", name="Agree").click()
    expect(verdict).to_contain_text("Agrees: ")
    expect(verdict).to_contain_text("by you")

    verdict.get_by_label("Comment").fill("a second look")
    verdict.get_by_label("Correct to").select_option(other)
    verdict.get_by_role("button", name="Save correction").click()
    expect(verdict).to_contain_text(f"Corrected to {other}")
    expect(verdict).to_contain_text("a second look")
    review = api.get(f"/v1/scans/{scan_id}").json()["review"]
    assert (review["label"], review["agrees"]) == (other, False)

    go(page, "#/model")
    agreement = page.locator("section", has=page.get_by_role("heading", name="Agreement"))
    expect(agreement.get_by_role("table").first).to_be_visible()
