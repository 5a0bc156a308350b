"""A scan is followed to its end, whatever comes between: too many requests, failed questions."""

import re
from pathlib import Path

import httpx
from playwright.sync_api import Route, expect

from tests.browser.conftest import Seat, submit
from tests.browser.steps import EVENTS_BY_HAND, SCAN, choose_file, go, wait_for_result, wait_until


def test_too_many_requests_are_waited_out(seat: Seat, samples: list[Path]) -> None:
    page = seat.page
    seat.watch.expected = {404, 429}
    refused: list[str] = []

    def answer(route: Route) -> None:
        if len(refused) >= 2:
            route.continue_()
            return
        refused.append(route.request.url)
        problem = {"title": "Too many requests.", "code": "too_many_requests"}
        route.fulfill(status=429, headers={"Retry-After": "1"}, json=problem)

    page.route("**/events", lambda route: route.fulfill(status=404, body=""))
    page.route(SCAN, answer)
    choose_file(page, samples[0].read_bytes(), "busy.png")
    wait_for_result(page)
    assert len(refused) == 2
    expect(page.get_by_text("Too many requests.")).to_have_count(0)


def test_the_end_comes_while_a_question_is_open_that_fails(seat: Seat, samples: list[Path]) -> None:
    page = seat.page
    seat.watch.server_may_be_away = True
    page.evaluate(EVENTS_BY_HAND)
    held: list[Route] = []

    def answer(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route(SCAN, answer)
    choose_file(page, samples[0].read_bytes(), "late.png")
    wait_until(page, "Boolean(window.source)")
    with page.expect_request(SCAN):
        page.evaluate("source.dispatchEvent(new MessageEvent('change', { data: '{}' }))")
    page.evaluate("source.dispatchEvent(new MessageEvent('end', { data: '{}' }))")
    held[0].abort()
    wait_for_result(page)


def test_a_verdict_renews_the_report_and_the_page_says_so(
    seat: Seat, api: httpx.Client, samples: list[Path]
) -> None:
    page = seat.page
    scan_id = submit(api, samples[1])
    go(page, f"/scans/{scan_id}")
    link = page.get_by_role("link", name="PDF report")
    expect(link).to_have_attribute("download", re.compile("report-1.pdf$"))
    page.get_by_role("button", name="Agree").click()
    note = page.get_by_text("The report is being renewed.")
    expect(note).to_be_visible()
    expect(link).to_have_attribute("download", re.compile("report-2.pdf$"), timeout=60_000)
    expect(note).to_have_count(0)


def test_a_failed_look_does_not_end_the_wait_for_another_analysis(
    seat: Seat, api: httpx.Client, samples: list[Path]
) -> None:
    page = seat.page
    seat.watch.server_may_be_away = True
    scan_id = submit(api, samples[1])
    looks: list[str] = []

    def answer(route: Route) -> None:
        looks.append(route.request.url)
        if len(looks) == 2:
            route.abort()
        else:
            route.continue_()

    page.route("**/analyses", answer)
    go(page, f"/scans/{scan_id}")
    page.get_by_role("button", name="More").click()
    page.get_by_role("button", name="Analyze again").click()
    rows = page.locator("section").filter(has_text="Later analyses").locator("tbody tr")
    expect(rows.first).to_contain_text("this scan")
    expect(rows.last.locator("td").nth(2)).to_contain_text("coverage", timeout=60_000)
    assert len(looks) >= 3
