"""What happened to scans and stages, counted by the process that committed it.

Gateways and recorders both write results, so each counts its own: sum over all of them. What is
counted here is handed over when its transaction has been committed, never before. The state of
things (what waits, what runs) is read from the ledger instead: see `backlog`.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from prometheus_client import Counter, Histogram
from sqlmodel import Session

from neuroscan.contracts.enums import ScanState
from services.gateway.db.session import after_commit
from services.gateway.db.tables import OWN_TRACK, Scan, Stage, now

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 900, 3600)

SCANS = Counter("neuroscan_scans", "Scans by the state that they came to.", ["state"])
SCAN_SECONDS = Histogram(
    "neuroscan_scan_seconds",
    "From the upload to the report, of completed scans.",
    ["lane"],
    buckets=_SECONDS,
)
OUTCOMES = Counter(
    "neuroscan_stage_outcomes",
    "How stages ended, or were taken back: done, failed, retried (an attempt is spent), put_back "
    "(none is), late (a result that came too late and was dropped). `code` is the problem's.",
    ["stage", "outcome", "code"],
)
STAGE_SECONDS = Histogram(
    "neuroscan_stage_seconds",
    "From a stage's start to the commit of its result.",
    ["stage"],
    buckets=_SECONDS,
)
WAIT_SECONDS = Histogram(
    "neuroscan_stage_wait_seconds",
    "How long a stage waited for somebody to begin, from when it was due.",
    ["stage", "lane"],
    buckets=_SECONDS,
)
ATTEMPTS = Histogram(
    "neuroscan_stage_attempts",
    "The attempt in which a stage was done or failed for good.",
    ["stage"],
    buckets=(1, 2, 3, 5, 10),
)


def scan_came_to(session: Session, scan: Scan, state: ScanState) -> None:
    """A scan was received, or is over."""
    after_commit(session, SCANS.labels(state.value).inc)
    if state is ScanState.COMPLETED:
        seconds = SCAN_SECONDS.labels(_lane(scan, OWN_TRACK))
        after_commit(session, _since(scan.created_at, seconds.observe))


def stage_started(session: Session, scan: Scan, stage: Stage) -> None:
    """Somebody has begun."""
    waited = WAIT_SECONDS.labels(stage.name, _lane(scan, stage.track))
    after_commit(session, _since(stage.available_at, waited.observe))


def stage_done(session: Session, stage: Stage) -> None:
    """The result was taken."""
    stage_ended(session, stage, "done")
    after_commit(session, partial(ATTEMPTS.labels(stage.name).observe, stage.attempt))
    if stage.started_at is not None:
        seconds = STAGE_SECONDS.labels(stage.name)
        after_commit(session, _since(stage.started_at, seconds.observe))


def stage_failed(session: Session, stage: Stage, code: str) -> None:
    """The last attempt failed."""
    stage_ended(session, stage, "failed", code)
    after_commit(session, partial(ATTEMPTS.labels(stage.name).observe, stage.attempt))


def stage_ended(session: Session, stage: Stage, outcome: str, code: str = "") -> None:
    """An attempt is over, one way or another."""
    after_commit(session, OUTCOMES.labels(stage.name, outcome, code).inc)


def _since(moment: datetime, observe: Callable[[float], None]) -> Callable[[], None]:
    return partial(observe, max((now() - moment).total_seconds(), 0.0))


def _lane(scan: Scan, track: str) -> str:
    """Who waits: somebody for a single scan, somebody for a batch, or nobody but further work."""
    if track != OWN_TRACK:
        return "further"
    return "single" if scan.batch_id is None else "batch"
