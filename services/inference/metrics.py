"""What the service counts, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from neuroscan.contracts.enums import TumorClass

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 10.0)


class Metrics:
    """The counters of one application; each application has its own registry."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "neuroscan_inference_requests",
            "Requests by path and status.",
            ["path", "status"],
            registry=self._registry,
        )
        self._latency = Histogram(
            "neuroscan_inference_request_seconds",
            "From the request's first byte to the answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._batch = Histogram(
            "neuroscan_inference_batch_size",
            "Slices in a batch.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self._registry,
        )
        self._device = Histogram(
            "neuroscan_inference_device_seconds",
            "Time that the network took for a batch.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._queue = Gauge(
            "neuroscan_inference_queue_length", "Slices that wait.", registry=self._registry
        )
        self._classes = Counter(
            "neuroscan_inference_answers",
            "Answers by class, and whether the input check accepted the slice.",
            ["label", "accepted"],
            registry=self._registry,
        )
        self._rejections = Counter(
            "neuroscan_inference_rejections",
            "Slices that got no answer, by reason.",
            ["reason"],
            registry=self._registry,
        )

    def watch_queue(self, length: Callable[[], int]) -> None:
        """Read the queue's length whenever the metrics are read."""
        self._queue.set_function(length)

    def request_done(self, path: str, status: int, seconds: float) -> None:
        """A request was answered; `path` is a route, never a caller's string."""
        self._requests.labels(path=path, status=str(status)).inc()
        self._latency.labels(path=path).observe(seconds)

    def batch_done(self, size: int, seconds: float) -> None:
        """The network answered a batch."""
        self._batch.observe(size)
        self._device.observe(seconds)

    def classified(self, label: TumorClass, *, accepted: bool) -> None:
        """A slice was answered."""
        self._classes.labels(label=label.value, accepted=str(accepted).lower()).inc()

    def rejected(self, reason: str) -> None:
        """A slice got no answer: `queue_full`, `deadline`, `failed` or `bad_image`."""
        self._rejections.labels(reason=reason).inc()

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
