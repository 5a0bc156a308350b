"""Where Prometheus reads a process that has no HTTP service for it; what HTTP services count.

Only services import this: it needs prometheus-client. The port is an inner one: what it shows
names nobody, but says how busy the place is.
"""

from collections.abc import Sequence

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, start_http_server

from neuroscan.settings import MetricsSettings
from neuroscan.telemetry import get_logger

log = get_logger(__name__)


def serve_metrics(registry: CollectorRegistry = REGISTRY) -> bool:
    """Serve the registry on `HOST` and `METRICS_PORT` from now on; False without that port.

    A port that can't be had costs the metrics, not the service.
    """
    settings = MetricsSettings()
    if settings.metrics_port is None:
        return False
    try:
        start_http_server(settings.metrics_port, addr=settings.host, registry=registry)
    except OSError as error:
        log.warning("metrics.not_served", port=settings.metrics_port, error=type(error).__name__)
        return False
    return True


class RequestMetrics:
    """Requests of an inner HTTP service: how many, and how long they took."""

    def __init__(self, service: str, registry: CollectorRegistry, seconds: Sequence[float]) -> None:
        self._requests = Counter(
            f"neuroscan_{service}_requests",
            "Requests by path and status.",
            ["path", "status"],
            registry=registry,
        )
        self._latency = Histogram(
            f"neuroscan_{service}_request_seconds",
            "From the request's first byte to the answer.",
            ["path"],
            buckets=seconds,
            registry=registry,
        )

    def done(self, path: str, status: int, seconds: float) -> None:
        """A request was answered; `path` is a route, never a caller's string."""
        self._requests.labels(path=path, status=str(status)).inc()
        self._latency.labels(path=path).observe(seconds)
