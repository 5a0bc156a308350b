"""Where Prometheus reads a process that has no HTTP service of its own, or none for it.

Only services import this: it needs prometheus-client. The port is an inner one: what it shows
names nobody, but says how busy the place is.
"""

from prometheus_client import REGISTRY, CollectorRegistry, start_http_server

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
