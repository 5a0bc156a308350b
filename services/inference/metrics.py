"""What the service counts, for Prometheus."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)

from neuroscan.contracts.enums import TumorClass
from neuroscan.contracts.results import InferenceResult, ModelFacts
from neuroscan.metrics import RequestMetrics

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 10.0)
REJECTIONS = ("queue_full", "deadline", "failed", "bad_image")
_RATIOS = (0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2, 4)
_SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Metrics:
    """The counters of one application; each application has its own registry."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = RequestMetrics("inference", self._registry, _SECONDS)
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
        self._confidence = Histogram(
            "neuroscan_inference_confidence",
            "Calibrated confidence in the class, of slices that the input check accepted.",
            ["label"],
            buckets=_SHARES,
            registry=self._registry,
        )
        self._strangeness = Histogram(
            "neuroscan_inference_input_check_ratio",
            "The input check's score by its threshold; above 1 a slice is turned away.",
            buckets=_RATIOS,
            registry=self._registry,
        )
        self._model = Info(
            "neuroscan_inference_model",
            "The bundle that answers, and on what.",
            registry=self._registry,
        )
        self._rejections = Counter(
            "neuroscan_inference_rejections",
            "Slices that got no answer, by reason.",
            ["reason"],
            registry=self._registry,
        )
        # Shown as 0 before the first, whose increase would otherwise be missed.
        for label in TumorClass:
            for accepted in ("true", "false"):
                self._classes.labels(label=label.value, accepted=accepted)
        for reason in REJECTIONS:
            self._rejections.labels(reason=reason)

    def watch_queue(self, length: Callable[[], int]) -> None:
        """Read the queue's length whenever the metrics are read."""
        self._queue.set_function(length)

    def batch_done(self, size: int, seconds: float) -> None:
        """The network answered a batch."""
        self._batch.observe(size)
        self._device.observe(seconds)

    def model_is(self, model: ModelFacts, engine: str, device: str, precision: str) -> None:
        """Which model answers; a drift of the answers may be another model."""
        self._model.info(
            {
                "name": model.name,
                "version": model.version,
                "engine": engine,
                "device": device,
                "precision": precision,
            }
        )

    def classified(self, result: InferenceResult) -> None:
        """A slice was answered."""
        found, accepted = result.classification, result.input_check.accepted
        self._classes.labels(label=found.label.value, accepted=str(accepted).lower()).inc()
        check = result.input_check
        if check.threshold > 0:
            self._strangeness.observe(check.score / check.threshold)
        if accepted:
            self._confidence.labels(label=found.label.value).observe(found.confidence)

    def rejected(self, reason: str) -> None:
        """A slice got no answer, for one of `REJECTIONS`."""
        self._rejections.labels(reason=reason).inc()

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
