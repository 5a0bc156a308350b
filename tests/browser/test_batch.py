"""Many files at once: one bad file fails alone, on top, with its reason."""

import re
from pathlib import Path
from zipfile import ZipFile

import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests import pictures
from tests.browser.conftest import Seat
from tests.browser.steps import go

pytestmark = pytest.mark.timeout(240)


def heads(count: int, first_seed: int) -> list[FilePayload]:
    """Files to send, each another head."""
    return [
        FilePayload(
            name=f"slice-{number:02}.png",
            mimeType="image/png",
            buffer=pictures.png(pictures.head(seed=first_seed + number)),
        )
        for number in range(count)
    ]


@pytest.fixture
def sent(page: Page) -> Page:
    """A batch of twelve, one of them broken, that is through."""
    files = heads(11, first_seed=300)
    broken = FilePayload(name="broken.png", mimeType="image/png", buffer=files[0]["buffer"][:700])
    go(page, "#/analyze/batch")
    page.get_by_label("Files", exact=True).set_input_files([*files[:6], broken, *files[6:]])
    page.get_by_role("button", name="Analyze 12 files").click()
    expect(page.get_by_text("11 done, 1 failed")).to_be_visible(timeout=180_000)
    return page


def test_a_batch_of_twelve_with_one_broken_file(sent: Page, tmp_path: Path) -> None:
    tiles = sent.locator(".tiles > li")
    expect(tiles).to_have_count(12)
    # The failure is on top, with its reason, although it was sent as the seventh.
    expect(tiles.first).to_contain_text("broken.png")
    expect(tiles.first).to_contain_text(re.compile("end", re.IGNORECASE))
    sent.get_by_label("Shown").select_option("failed")
    expect(tiles).to_have_count(1)
    sent.get_by_label("Shown").select_option("")
    sent.get_by_label("Sorted by").select_option("name")
    expect(tiles.nth(1)).to_contain_text("slice-00.png")

    with sent.expect_download() as table:
        sent.get_by_role("link", name="Results (CSV)").click()
    lines = table.value.path().read_text(encoding="utf-8").splitlines()
    assert len(lines) == 13
    with sent.expect_download() as archive:
        sent.get_by_role("link", name="Reports (ZIP)").click()
    with ZipFile(archive.value.path()) as opened:
        assert sum(name.endswith(".pdf") for name in opened.namelist()) >= 11

    tiles.nth(1).get_by_role("link").click()
    expect(sent.get_by_role("link", name="PDF report")).to_be_visible()
    go(sent, "#/batches")
    expect(sent.locator("main")).to_contain_text("12 files")


def send_batch(page: Page, files: list[FilePayload]) -> str:
    """Send a batch; returns its page's place when it is shown."""
    go(page, "#/analyze/batch")
    page.get_by_label("Files", exact=True).set_input_files(files)
    page.get_by_role("button", name=re.compile(r"Analyze \d+ files?")).click()
    expect(page.get_by_role("button", name="Delete", exact=True)).to_be_visible(timeout=60_000)
    return "#" + page.url.partition("#")[2]


def delete_batch(page: Page) -> None:
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete the batch").click()
    expect(page.get_by_text("The batch was deleted.")).to_be_visible()
    expect(page).to_have_url(re.compile("#/batches$"))


def test_a_deleted_batch_is_gone_with_its_scans(seat: Seat) -> None:
    seat.watch.expected = {404}
    batch = send_batch(seat.page, heads(1, first_seed=340))
    expect(seat.page.get_by_text("1 done")).to_be_visible(timeout=60_000)
    scan = seat.page.locator(".tiles > li").first.get_by_role("link").get_attribute("href")
    assert scan is not None
    delete_batch(seat.page)
    for gone in (batch, scan):
        go(seat.page, gone)
        expect(seat.page.locator("main")).to_contain_text("It may have been deleted")


def test_a_batch_that_is_deleted_while_it_runs_is_not_reported_as_a_failure(seat: Seat) -> None:
    # Whether it is followed to the last moment is chance.
    seat.watch.expected = {404}
    send_batch(seat.page, heads(6, first_seed=341))
    delete_batch(seat.page)
    seat.page.wait_for_timeout(1500)
    expect(seat.page.get_by_text("No batch has this id")).to_have_count(0)
