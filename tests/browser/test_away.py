"""The server goes away and comes back: the page says so, keeps what it shows, and goes on."""

import os
import signal

from playwright.sync_api import expect

from neuroscan.stack import Stack
from tests.browser.conftest import Seat
from tests.browser.steps import go


def test_a_server_that_goes_away_and_comes_back(seat: Seat, stack: Stack, completed: str) -> None:
    page = seat.page
    seat.watch.server_may_be_away = True
    # What a proxy or a gateway that is just starting says.
    seat.watch.expected |= {502, 503}
    go(page, f"#/scans/{completed}")
    label = page.locator(".verdict-card strong").first.inner_text()
    # The launcher can't start it again while it is stopped itself.
    os.kill(stack.launcher_pid, signal.SIGSTOP)
    try:
        stack.kill("gateway")
        expect(page.get_by_text("The server does not answer.")).to_be_visible(timeout=40_000)
        expect(page.locator(".verdict-card strong").first).to_have_text(label)
    finally:
        os.kill(stack.launcher_pid, signal.SIGCONT)
    expect(page.get_by_text("The server does not answer.")).to_have_count(0, timeout=60_000)
    go(page, "#/scans")
    expect(page.locator(f"main a[href$='{completed}']").first).to_be_visible()
