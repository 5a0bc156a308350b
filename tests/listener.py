"""A real HTTP server on loopback that takes webhooks' notices and answers as a test tells it to."""

import hashlib
import hmac
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: Message
    body: bytes

    @property
    def notice(self) -> Any:
        """The body, read."""
        return json.loads(self.body)

    @property
    def event_id(self) -> str:
        """The event's id from its header."""
        return self.headers["NeuroScan-Event-Id"]

    def is_signed_with(self, secret: str) -> bool:
        """Whether the signature is right, as a receiver would check it."""
        signed = f"{self.headers['NeuroScan-Timestamp']}.{self.event_id}.".encode() + self.body
        wanted = "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted, self.headers["NeuroScan-Signature"])


# Answers a request; the number counts the requests from 0.
Behavior = Callable[[BaseHTTPRequestHandler, int], None]


def answer(status: int, **headers: str) -> Behavior:
    """Always the same status."""

    def behave(handler: BaseHTTPRequestHandler, _: int) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return behave


class Listener:
    """Listens while the block runs; what came is in `received`."""

    def __init__(self, behave: Behavior | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.behave = behave or answer(204)
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its address by plain HTTP."""
        return f"http://127.0.0.1:{self.port}/hook"

    def wait_for(self, count: int, limit_s: float = 20) -> list[Received]:
        """The requests once so many have come."""
        with self._changed:
            come = self._changed.wait_for(lambda: len(self.received) >= count, limit_s)
            assert come, f"{len(self.received)} of {count} notices came"
            return list(self.received)

    def stays_at(self, count: int, for_s: float = 1.5) -> None:
        """Fail when more requests come."""
        time.sleep(for_s)
        assert len(self.received) == count

    def _take(self, received: Received) -> int:
        with self._changed:
            self.received.append(received)
            self._changed.notify_all()
            return len(self.received) - 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                number = listener._take(Received(self.path, self.headers, body))
                try:
                    listener.behave(self, number)
                except OSError:
                    # The other side had enough, as some tests want it.
                    self.close_connection = True

            def do_GET(self) -> None:
                raise AssertionError("a redirect was followed")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        return Handler
