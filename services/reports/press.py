"""A line of requests before a renderer, and what is counted on the way."""

from collections.abc import Callable
from enum import StrEnum
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from neuroscan.contracts.problems import Overloaded
from services.reports.render import Rendered

RETRY_AFTER_S = 5
_SECONDS = (0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30)

RequestT = TypeVar("RequestT")


class Kind(StrEnum):
    """What is printed."""

    REPORT = "report"
    SUMMARY = "summary"


class Metrics:
    """What /metrics shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "neuroscan_reports_requests",
            "Requests by path and status.",
            ["path", "status"],
            registry=self.registry,
        )
        self._latency = Histogram(
            "neuroscan_reports_request_seconds",
            "From the request's first byte to the answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.rendered = Counter(
            "neuroscan_reports_rendered",
            "Reports of scans and summaries of batches, by outcome.",
            ["kind", "outcome"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "neuroscan_reports_render_seconds",
            "Time to render one, without waiting.",
            ["kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.waiting = Gauge(
            "neuroscan_reports_waiting",
            "Those that wait or are being rendered.",
            ["kind"],
            registry=self.registry,
        )

    def request_done(self, path: str, status: int, seconds: float) -> None:
        """A request was answered; `path` is a route, never a caller's string."""
        self._requests.labels(path=path, status=str(status)).inc()
        self._latency.labels(path=path).observe(seconds)


class Press(Generic[RequestT]):
    """One renderer, one document at a time, a bounded line before it."""

    def __init__(
        self,
        kind: Kind,
        render: Callable[[RequestT], Rendered],
        metrics: Metrics,
        waiting_max: int,
    ) -> None:
        self.kind = kind
        self._render = render
        self._seconds = metrics.seconds.labels(kind)
        self._shown = metrics.waiting.labels(kind)
        self._waiting_max = waiting_max
        self._one_at_a_time = CapacityLimiter(1)
        self._waiting = 0

    def check(self) -> None:
        """Raise Overloaded when the line is full."""
        if self._waiting >= self._waiting_max:
            raise Overloaded(retry_after_s=RETRY_AFTER_S)

    async def print(self, request: RequestT) -> Rendered:
        """The document, once it is its turn; raises Overloaded when the line is full."""
        self.check()
        self._waiting += 1
        self._shown.set(self._waiting)
        try:
            return await to_thread.run_sync(self._timed, request, limiter=self._one_at_a_time)
        finally:
            self._waiting -= 1
            self._shown.set(self._waiting)

    def _timed(self, request: RequestT) -> Rendered:
        with self._seconds.time():
            return self._render(request)
