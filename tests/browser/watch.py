"""What must not happen while a page is used: console errors, other hosts, broken policies."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Page, Request

# A broken policy is also an error in the console; this says what broke it.
_REPORT_POLICY = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
});
"""
_FAILED_LOAD = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")


class Watch:
    """Collects what goes wrong in a context. `expected`: HTTP statuses that a test provokes."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.expected: set[int] = set()
        self.server_may_be_away = False
        self._host = urlsplit(origin).netloc
        self._wrong: list[str] = []
        context.add_init_script(_REPORT_POLICY)
        context.on("request", self._request)
        context.on("page", self._page)

    def check(self) -> None:
        """Fail when anything went wrong."""
        if self._wrong:
            raise AssertionError("\n".join(self._wrong))

    def _page(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", self._error)

    def _request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme in ("blob", "data"):
            return
        if url.netloc != self._host:
            self._wrong.append(f"a request to another host: {request.url}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        status = _FAILED_LOAD.match(message.text)
        if status and int(status[1]) in self.expected:
            return
        if self.server_may_be_away and "net::ERR" in message.text:
            return
        self._wrong.append(f"{message.type}: {message.text}")

    def _error(self, error: Error) -> None:
        self._wrong.append(f"uncaught: {error}")
