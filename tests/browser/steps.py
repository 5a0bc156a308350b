"""What a person does on the page, in steps that several tests share."""

import json
import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import FilePayload, Page, Route, expect

from neuroscan.contracts.enums import CamMethod
from neuroscan.settings import SHIPPED_BUNDLE
from services.reports.wording import METHOD_NAMES

# A scan, and what a scan holds below its own address is not meant.
SCAN = re.compile(r"/v1/scans/[0-9a-f-]{36}(\?.*)?$")

# A stream of events that a test makes: `source` is the newest.
EVENTS_BY_HAND = """
window.EventSource = class extends EventTarget {
  static CLOSED = 2;
  readyState = 1;
  constructor() {
    super();
    window.source = this;
    setTimeout(() => this.onopen?.(new Event("open")));
  }
  close() {
    this.readyState = 2;
  }
};
// A class as the last value would be called.
null;
"""

# The method that the shipped network's maps are made with, and one that is made when asked for.
DEFAULT_METHOD = METHOD_NAMES[
    CamMethod(json.loads((SHIPPED_BUNDLE / "bundle.json").read_text())["explanation"]["method"])
]
OTHER_METHOD = next(name for name in METHOD_NAMES.values() if name != DEFAULT_METHOD)
CLASS_NAMES = re.compile("Glioma|Meningioma|No tumor|Pituitary")
PARAMETERS = (
    "Anatomical region",
    "Hemisphere",
    "Spatial relation",
    "Tumor volume",
    "Maximum dimensions",
    "Texture",
    "Midline shift",
    "Edema volume",
    "Relative cerebral blood volume",
    "Confidence",
)


def go(page: Page, path: str) -> None:
    """Another address within the page."""
    page.evaluate("path => { location.hash = path }", path)
    expect(page.locator("main [aria-busy=true]")).to_have_count(0)


def choose_file(page: Page, content: bytes, name: str, kind: str = "image/png") -> None:
    """Choose a file in the single form and send it."""
    file = FilePayload(name=name, mimeType=kind, buffer=content)
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Analyze", exact=True).click()


def change_answers(
    page: Page, address: re.Pattern[str], change: Callable[[dict[str, Any]], object]
) -> None:
    """Let `change` edit what the API answers to reading an address, until the page ends."""

    def answer(route: Route) -> None:
        if route.request.method != "GET":
            route.fallback()
            return
        response = route.fetch()
        body = response.json()
        change(body)
        route.fulfill(response=response, json=body)

    page.route(address, answer)


def wait_for_result(page: Page) -> None:
    """Until the report is there, which comes last."""
    expect(page.get_by_role("link", name="PDF report")).to_be_visible(timeout=60_000)
    expect(page.locator(".parameters[aria-busy]")).to_have_count(0)


def wait_until(page: Page, expression: str) -> None:
    """Wait for an expression to be true. Playwright's own way evaluates a text in the page.

    The page's Content-Security-Policy forbids that.
    """
    for _ in range(150):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{expression} did not become true")
