"""What a stage worker counts: the pool's children write it, the parent shows it.

A prefork pool's counts live in files that all children write and the parent adds up
(prometheus-client's multiprocess mode), so that those of a child that was killed stay. The
folder must be named before prometheus-client is imported, hence the imports inside.
"""

import os
import tempfile
from pathlib import Path

from neuroscan.settings import MetricsSettings

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# A stage is cut off after 25 s.
_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 12, 25)


class WorkerMetrics:
    """The counters of one worker; made by `begin` in the parent, written in its children."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Histogram  # noqa: PLC0415

        self._messages = Counter(
            "neuroscan_worker_messages",
            "Messages by outcome: done, duplicate, or the code of the problem.",
            ["stage", "outcome"],
        )
        self._seconds = Histogram(
            "neuroscan_worker_seconds",
            "From a message's start to its report: reading, computing, writing.",
            ["stage"],
            buckets=_SECONDS,
        )
        self._lost = Counter(
            "neuroscan_worker_reports_lost",
            "Reports that the broker did not take; the stage is done again.",
            ["stage"],
        )

    def done(self, stage: str, outcome: str, seconds: float) -> None:
        """A message was worked on: `done`, or the code of the problem."""
        self._messages.labels(stage, outcome).inc()
        self._seconds.labels(stage).observe(seconds)

    def duplicate(self, stage: str) -> None:
        """A message was dropped because somebody else has the work."""
        self._messages.labels(stage, "duplicate").inc()

    def report_lost(self, stage: str) -> None:
        """A report did not reach the broker."""
        self._lost.labels(stage).inc()


def begin() -> WorkerMetrics | None:
    """Count, and show it on `METRICS_PORT`; None without that port. In the parent, before forks."""
    if MetricsSettings().metrics_port is None:
        return None
    given = os.environ.get(_FOLDER)
    folder = Path(given) if given else Path(tempfile.mkdtemp(prefix="neuroscan-metrics-"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in folder.glob("*.db"):
        # Those of an earlier worker are not this one's.
        old.unlink(missing_ok=True)
    os.environ[_FOLDER] = str(folder)

    from prometheus_client import CollectorRegistry  # noqa: PLC0415
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

    from neuroscan.metrics import serve_metrics  # noqa: PLC0415

    metrics = WorkerMetrics()
    shown = CollectorRegistry()
    MultiProcessCollector(shown, path=str(folder))  # type: ignore[no-untyped-call]
    serve_metrics(shown)
    return metrics
