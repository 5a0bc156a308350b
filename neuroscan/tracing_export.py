"""Spans of OpenTelemetry's SDK, sent in the background by OTLP over HTTP (see `tracing`).

The provider is not made the process's global one, so that no library adds spans of its own:
FastAPI's would carry addresses and the texts of errors.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import requests
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from neuroscan.process import code_version, process_name
from neuroscan.tracing import TRACE_HEADER, Attributes, Kind

# How long a collector that is away is tried, by a batch and by a process that ends.
_PATIENCE_S = 3.0
_PROPAGATOR = TraceContextTextMapPropagator()


class _Exporter(OTLPSpanExporter):
    """Gives up soon once the process ends; the SDK's own would be waited for for half a minute."""

    give_up_at: float | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        if self.give_up_at is not None and time.monotonic() > self.give_up_at:
            return SpanExportResult.FAILURE
        return super().export(spans)


class SpanExport:
    """Records spans and sends them in batches; a collector that is away holds up nobody.

    The standard variables of OpenTelemetry hold: endpoint, headers, sampler, batch sizes.
    """

    def __init__(self, service: str) -> None:
        resource = Resource.create(
            {
                "service.namespace": "neuroscan",
                "service.name": service,
                "service.version": code_version(),
                "service.instance.id": process_name(),
            }
        )
        # Inner addresses must not go through a proxy that the environment names.
        session = requests.Session()
        session.trust_env = False
        given = "OTEL_EXPORTER_OTLP_TIMEOUT" in os.environ
        self._exporter = _Exporter(session=session, timeout=None if given else _PATIENCE_S)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("neuroscan")

    @contextmanager
    def span(
        self, name: str, kind: Kind, parent: str | None, attributes: Attributes
    ) -> Iterator[None]:
        """A span around a block, below `parent` (a `traceparent`) or else the current span."""
        with self._tracer.start_as_current_span(
            name,
            context=_context_of(parent),
            kind=SpanKind[kind.value],
            attributes=attributes,
            # Its text may hold a part of what was sent, a name among it.
            record_exception=False,
            set_status_on_exception=False,
        ):
            try:
                yield
            except Exception as error:
                self.note({}, None, type(error).__name__)
                raise

    def traceparent(self) -> str | None:
        """The current span, as the header says it; None outside of any."""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get(TRACE_HEADER)

    def note(self, attributes: Attributes, name: str | None, error: str | None) -> None:
        """Add to the current span."""
        current = trace.get_current_span()
        current.set_attributes(attributes)
        if name is not None:
            current.update_name(name)
        if error is not None:
            current.set_attribute("error.type", error)
            current.set_status(Status(StatusCode.ERROR))

    def close(self) -> None:
        """Send the rest and end; waits a few seconds at most for a collector that is away."""
        self._exporter.give_up_at = time.monotonic() + _PATIENCE_S
        self._provider.shutdown()


def _context_of(parent: str | None) -> Context | None:
    if parent is None:
        return None
    carrier: Mapping[str, str] = {TRACE_HEADER: parent}
    return _PROPAGATOR.extract(carrier)
