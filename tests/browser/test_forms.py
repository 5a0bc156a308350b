"""What is filled in before a slice goes: a sample's facts, the patient, keys, lost connections."""

import json
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

from tests import pictures
from tests.browser.conftest import Seat, SitDown
from tests.browser.steps import CLASS_NAMES, choose_file, go

SEARCH = "**/v1/patients/search"


def use_sample(page: Page) -> None:
    page.get_by_role("button", name="Use a sample").click()
    page.get_by_role("button", name="right temporal").click()
    expect(page.get_by_label("Pixel spacing, mm")).to_have_value("1")


def choose(page: Page, content: bytes) -> None:
    file = FilePayload(name="slice.png", mimeType="image/png", buffer=content)
    page.get_by_label("File", exact=True).set_input_files(file)


def test_a_samples_facts_do_not_stay_on_the_next_picture(page: Page, samples: list[Path]) -> None:
    spacing = page.get_by_label("Pixel spacing, mm")
    shown_as = page.get_by_label("Shown as")
    use_sample(page)
    expect(shown_as).to_have_value("radiological")
    page.get_by_role("button", name="Remove the file").click()
    expect(spacing).to_have_value("")
    expect(shown_as).to_have_value("unknown")

    use_sample(page)
    choose(page, samples[0].read_bytes())
    expect(spacing).to_have_value("")
    expect(shown_as).to_have_value("unknown")


def test_what_was_typed_stays_when_a_sample_goes(page: Page) -> None:
    spacing = page.get_by_label("Pixel spacing, mm")
    spacing.fill("0.49")
    use_sample(page)
    page.get_by_label("Shown as").select_option("neurological")
    page.get_by_role("button", name="Remove the file").click()
    expect(spacing).to_have_value("0.49")
    expect(page.get_by_label("Shown as")).to_have_value("neurological")


def found(route: Route, *numbers: str) -> None:
    """Answer a search for patients."""
    items = [{"id": number, "medical_record_number": number, "name": None} for number in numbers]
    route.fulfill(json={"items": [item | {"birth_date": None} for item in items]})


def test_enter_picks_nobody_who_was_found_for_an_older_text(page: Page) -> None:
    patient = page.get_by_role("combobox", name="Patient")
    waiting: list[Route] = []

    def answer(route: Route) -> None:
        q = json.loads(route.request.post_data or "")["q"]
        if q == "20-1":
            found(route, "20-1")
        else:
            waiting.append(route)

    page.route(SEARCH, answer)
    patient.fill("20-1")
    options = page.locator("[role=option]")
    expect(options.first).to_have_text("20-1")
    patient.fill("20-12")
    patient.press("Enter")
    expect(patient).to_be_visible()
    page.wait_for_timeout(400)
    assert len(waiting) == 1
    found(waiting[0], "20-12")
    expect(options.first).to_have_text("20-12")
    patient.press("Enter")
    expect(page.locator(".chosen")).to_contain_text("20-12")


def test_late_answers_and_failures_of_older_searches_change_nothing(seat: Seat) -> None:
    page = seat.page
    seat.watch.expected = {503}
    patient = page.get_by_role("combobox", name="Patient")
    waiting: dict[str, Route] = {}

    def answer(route: Route) -> None:
        waiting[json.loads(route.request.post_data or "")["q"]] = route

    page.route(SEARCH, answer)
    for q in ("20-1", "20-12"):
        patient.fill(q)
        page.wait_for_timeout(400)
    found(waiting["20-12"], "20-12")
    options = page.locator("[role=option]")
    expect(options.first).to_have_text("20-12")
    waiting["20-1"].fulfill(status=503, json={"title": "Too late."})
    page.wait_for_timeout(300)
    expect(options.first).to_have_text("20-12")

    patient.fill("20-123")
    page.wait_for_timeout(400)
    patient.fill("")
    expect(options).to_have_text(["Create a patient"])
    found(waiting["20-123"], "20-123")
    page.wait_for_timeout(300)
    expect(options).to_have_text(["Create a patient"])


def test_a_slice_is_sent_where_the_browser_makes_no_uuids(
    sit_down: SitDown, samples: list[Path]
) -> None:
    page = sit_down().page
    # As in a page that comes by HTTP from another machine.
    page.evaluate("delete Crypto.prototype.randomUUID")
    with page.expect_request(lambda request: request.method == "POST") as sent:
        choose_file(page, samples[0].read_bytes(), "slice.png")
    key = sent.value.headers["idempotency-key"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", key)
    expect(page.locator(".verdict strong")).to_have_text(CLASS_NAMES)


def test_what_was_sent_into_a_lost_connection_may_have_arrived(
    seat: Seat, samples: list[Path]
) -> None:
    page = seat.page
    seat.watch.server_may_be_away = True
    page.route("**/v1/scans", lambda route: route.abort())
    choose_file(page, samples[0].read_bytes(), "slice.png")
    problem = page.get_by_role("alert").filter(has_text="It is not known whether this arrived.")
    expect(problem).to_contain_text("Try again when the server is back.")
    expect(problem).not_to_contain_text("by itself")


@pytest.mark.timeout(240)
def test_a_broken_batch_goes_on_under_its_key_and_is_linked_to(
    seat: Seat, api: httpx.Client
) -> None:
    page = seat.page
    seat.watch.expected = {503}
    keys: list[str] = []
    begun = api.post("/v1/batches", files=[("images", ("first.png", b"no picture"))]).json()

    def answer(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) > 2:
            route.continue_()
            return
        problem = {"title": "The store does not answer.", "code": "unavailable"}
        route.fulfill(status=503, headers={"Location": f"/v1/batches/{begun['id']}"}, json=problem)

    page.route("**/v1/batches", answer)
    go(page, "#/analyze/batch")
    files = [
        FilePayload(
            name=f"{number}.png",
            mimeType="image/png",
            buffer=pictures.png(pictures.head(seed=700 + number)),
        )
        for number in range(2)
    ]
    page.get_by_label("Files", exact=True).set_input_files(files)
    send = page.get_by_role("button", name="Analyze 2 files")
    send.click()
    link = page.get_by_role("link", name="What arrived of the batch")
    expect(link).to_have_attribute("href", f"#/batches/{begun['id']}")
    # Other fields make another request of it.
    page.get_by_label("Pixel spacing, mm").fill("1")
    send.click()
    expect(send).to_be_enabled()
    page.get_by_label("Pixel spacing, mm").fill("")
    page.get_by_label("Pixel spacing, mm").fill("1")
    send.click()
    expect(page).to_have_url(re.compile("#/batches/"))
    assert keys[0] != keys[1]
    assert keys[1] == keys[2]
