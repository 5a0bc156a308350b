"""Signing in by link or key, signing out, and what a role does not see."""

import httpx
import pytest
from playwright.sync_api import expect

from neuroscan.contracts.enums import Role
from neuroscan.stack import Stack
from tests.browser.conftest import SitDown, new_code

SECTIONS = {
    Role.SUBMITTER: ["Analyze", "Scans", "Batches", "Model"],
    Role.CLINICIAN: ["Analyze", "Scans", "Batches", "Patients", "Model"],
    Role.ADMIN: ["Analyze", "Scans", "Batches", "Patients", "Model", "Keys"],
}


def test_a_key_signs_in_and_signing_out_ends_the_session(sit_down: SitDown, stack: Stack) -> None:
    seat = sit_down(role=None)
    # Thumbnails that are still under way end with the session.
    seat.watch.expected = {401}
    page = seat.page
    page.get_by_label("API key").fill(stack.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Analyze a scan")).to_be_attached()
    page.reload()
    expect(page.get_by_role("heading", name="Analyze a scan")).to_be_attached()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.reload()
    expect(page.get_by_label("API key")).to_be_visible()
    assert page.context.cookies() == []


def test_a_wrong_key_is_told_in_words(sit_down: SitDown) -> None:
    seat = sit_down(role=None)
    seat.watch.expected = {401}
    seat.page.get_by_label("API key").fill("ns_none_" + "x" * 40)
    seat.page.get_by_role("button", name="Sign in").click()
    expect(seat.page.get_by_role("alert")).not_to_be_empty()
    expect(seat.page.get_by_label("API key")).to_be_focused()


def test_a_link_signs_in_once_and_leaves_no_code_behind(
    sit_down: SitDown, stack: Stack, api: httpx.Client
) -> None:
    code = new_code(api, Role.CLINICIAN)
    first = sit_down(role=None)
    first.page.goto("about:blank")
    first.page.goto(f"{stack.url}/#code={code}")
    expect(first.page.get_by_role("link", name="Patients")).to_be_visible()
    assert code not in first.page.url
    second = sit_down(role=None)
    second.watch.expected = {401}
    second.page.goto("about:blank")
    second.page.goto(f"{stack.url}/#code={code}")
    expect(second.page.get_by_text("used already")).to_be_visible()


@pytest.mark.parametrize("role", list(Role))
def test_what_a_role_may_not_do_is_not_shown(sit_down: SitDown, role: Role, completed: str) -> None:
    page = sit_down(role=role).page
    assert (
        page.get_by_role("navigation", name="Main").get_by_role("link").all_inner_texts()
        == (SECTIONS[role])
    )
    patient = page.get_by_role("combobox", name="Patient")
    expect(patient).to_have_count(1 if role.includes(Role.CLINICIAN) else 0)


def test_a_session_that_ended_elsewhere_leads_to_the_form(sit_down: SitDown, stack: Stack) -> None:
    seat = sit_down()
    seat.watch.expected = {401}
    seat.page.context.clear_cookies()
    seat.page.get_by_role("link", name="Scans", exact=True).click()
    expect(seat.page.get_by_text("The session has ended.")).to_be_visible()
    seat.page.get_by_label("API key").fill(stack.key)
    seat.page.get_by_role("button", name="Sign in").click()
    expect(seat.page.get_by_role("heading", name="Scans")).to_be_visible()
