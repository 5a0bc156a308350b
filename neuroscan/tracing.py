"""Traces over HTTP calls and messages, for the collector of `OTEL_EXPORTER_OTLP_ENDPOINT`.

Without that setting nothing of OpenTelemetry's SDK is imported and every function here does
nothing. Spans carry ids, stages, routes and statuses, never a path, a query, a text of an error or
anything else that a caller wrote. A trace goes on from process to process in the header
`traceparent`, of a request as of a message; baggage and `tracestate`, which may hold anything, are
neither taken nor sent.
"""

import atexit
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Protocol

from structlog.contextvars import get_contextvars

from neuroscan.settings import TraceSettings
from neuroscan.telemetry import get_logger

TRACE_HEADER = "traceparent"
# Bound to the log's lines by whoever handles a request or a message, and noted on spans too.
_BOUND = {
    "request_id": "neuroscan.request_id",
    "scan_id": "neuroscan.scan_id",
    "attempt": "neuroscan.attempt",
}

Attributes = Mapping[str, str | int]

log = get_logger(__name__)


class Kind(StrEnum):
    """Which end of a call a span is."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


class Recorder(Protocol):
    """Who makes spans; see `tracing_export`."""

    def span(
        self, name: str, kind: Kind, parent: str | None, attributes: Attributes
    ) -> AbstractContextManager[None]: ...
    def traceparent(self) -> str | None: ...
    def note(self, attributes: Attributes, name: str | None, error: str | None) -> None: ...
    def close(self) -> None: ...


_recorder: Recorder | None = None
_NOTHING: AbstractContextManager[None] = nullcontext()


def begin_tracing(service: str) -> None:
    """Send spans from now on, if a collector is named; once a process, after any fork."""
    global _recorder  # noqa: PLW0603 - one a process, as logging is
    if not TraceSettings().wanted or _recorder is not None:
        return
    try:
        from neuroscan.tracing_export import SpanExport  # noqa: PLC0415 - the SDK, if it is wanted
    except ImportError:
        # The service itself works without.
        log.warning("traces.not_installed", needs="neuroscan[traces]")
        return
    _recorder = SpanExport(service)
    atexit.register(end_tracing)


def end_tracing() -> None:
    """Send what was recorded.

    Called by itself at Python's exit, which neither a pool's child nor uvicorn comes to.
    """
    global _recorder
    recorder, _recorder = _recorder, None
    if recorder is not None:
        recorder.close()


def span(
    name: str,
    kind: Kind,
    *,
    headers: Mapping[str, str] | None = None,
    attributes: Attributes | None = None,
) -> AbstractContextManager[None]:
    """A span around a block; it ends as an error with the type's name when the block raises.

    `headers` are those of what came in, whose trace goes on; without, the current span's does.
    """
    if _recorder is None:
        return _NOTHING
    parent = headers.get(TRACE_HEADER) if headers else None
    return _recorder.span(name, kind, parent, {**_bound(), **(attributes or {})})


def note(attributes: Attributes, *, name: str | None = None, error: str | None = None) -> None:
    """Add to the current span, name it better, or mark it as failed by a type or a status."""
    if _recorder is not None:
        _recorder.note(attributes, name, error)


def trace_headers() -> dict[str, str]:
    """What goes with a call or a message so that the trace goes on there; empty without one."""
    traceparent = _recorder.traceparent() if _recorder is not None else None
    return {TRACE_HEADER: traceparent} if traceparent else {}


def _bound() -> dict[str, str | int]:
    bound = get_contextvars()
    return {ours: bound[name] for name, ours in _BOUND.items() if name in bound}
