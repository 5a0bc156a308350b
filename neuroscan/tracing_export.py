"""Spans of OpenTelemetry's SDK, sent in the background by OTLP over HTTP (see `tracing`).

The provider is not made the process's global one, so that no library adds spans of its own:
FastAPI's would carry addresses and the texts of errors.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import requests
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from neuroscan.process import code_version, process_name
from neuroscan.tracing import TRACE_HEADER, Attributes, Kind

_PROPAGATOR = TraceContextTextMapPropagator()


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
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(session=session)))
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
        self._provider.shutdown()


def _context_of(parent: str | None) -> Context | None:
    if parent is None:
        return None
    carrier: Mapping[str, str] = {TRACE_HEADER: parent}
    return _PROPAGATOR.extract(carrier)
