"""A small OTLP/HTTP collector: keeps the spans that it is sent.

`python otlp_collector.py PORT` listens on every address and prints a line a span.
"""

import gzip
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status


@dataclass(frozen=True)
class Span:
    """One span as it came over the wire; ids in hex, `parent` empty for a trace's first."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, str]
    failed: bool
    events: int
    tracestate: str


class Collector:
    """What was received."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.bodies: list[bytes] = []
        self._spans: list[Span] = []
        self._lock = threading.Lock()

    def take(self, body: bytes) -> None:
        """A request's body."""
        message = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            self.bodies.append(body)
            for resource in message.resource_spans:
                named = {each.key: each.value.string_value for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self._spans += [_span(named["service.name"], each) for each in scope.spans]

    def spans(self) -> list[Span]:
        """Those that have come so far."""
        with self._lock:
            return list(self._spans)

    def until(self, there: Callable[[list[Span]], bool], limit_s: float = 20) -> list[Span]:
        """Wait for spans."""
        give_up_at = time.monotonic() + limit_s
        while not there(spans := self.spans()):
            assert time.monotonic() < give_up_at, [(span.service, span.name) for span in spans]
            time.sleep(0.1)
        return spans


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector on loopback."""
    received = Collector()
    server = _server(received, "127.0.0.1", 0)
    received.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Printing(Collector):
    def take(self, body: bytes) -> None:
        before = len(self.spans())
        super().take(body)
        for span in self.spans()[before:]:
            print(f"span of {span.service} {span.name}", flush=True)


def _server(received: Collector, host: str, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            received.take(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002
            pass

    return ThreadingHTTPServer((host, port), Handler)


def _span(service: str, span: SpanMessage) -> Span:
    attributes = {
        each.key: each.value.string_value or str(each.value.int_value) for each in span.attributes
    }
    return Span(
        service=service,
        name=span.name,
        kind=SpanMessage.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        attributes=attributes,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        events=len(span.events),
        tracestate=span.trace_state,
    )


if __name__ == "__main__":
    _server(_Printing(), "0.0.0.0", int(sys.argv[1])).serve_forever()
