"""The thread that does the hourly work, in every recorder; an advisory lock lets one at a time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from neuroscan.contracts.problems import Unavailable
from neuroscan.settings import RetentionSettings
from neuroscan.telemetry import get_logger
from services.gateway.auth.repository import forget_ended
from services.gateway.db.session import transaction
from services.gateway.maintenance import retention
from services.gateway.maintenance.reconciler import remove_orphans
from services.gateway.pipeline.assembly import Pipeline

_LOCK = 0x4E53_4D41  # any number, the same for every recorder
# A recorder that is started again and again gets to it all the same.
_FIRST_AFTER = timedelta(minutes=1)

# In the order of the work.
_KINDS = ("sessions", "scans", "originals", "audit", "orphans")
_RUNS = Counter(
    "neuroscan_maintenance_runs",
    "Pieces of the hourly work by how they ended: done, waits (a part was away), failed.",
    ["kind", "outcome"],
)
# From the beginning, or the first failure would be no increase.
for _kind in _KINDS:
    for _outcome in ("waits", "failed"):
        _RUNS.labels(_kind, _outcome)

log = get_logger(__name__)


class Maintenance:
    """Works until stopped."""

    def __init__(self, pipeline: Pipeline, settings: RetentionSettings) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._stopped = threading.Event()
        self._warned = False
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)

    def start(self) -> None:
        """Begin to work in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End after the portion at hand."""
        self._stopped.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        every = self._settings.maintenance_every
        wait = min(every, _FIRST_AFTER)
        while not self._stopped.wait(wait.total_seconds()):
            self.work()
            wait = every

    def work(self) -> None:
        """Everything once; does nothing while another recorder is at it. Never raises."""
        pieces: tuple[Callable[[], None], ...] = (
            self._forget_ended,
            self._remove_scans,
            self._remove_originals,
            self._keep_audit,
            self._remove_orphans,
        )
        try:
            with self._alone() as alone:
                for kind, piece in zip(_KINDS, pieces, strict=True) if alone else ():
                    if not self._stopped.is_set():
                        _RUNS.labels(kind, _one(piece)).inc()
        except SQLAlchemyError as error:
            log.warning("maintenance.waits", reason=type(error).__name__)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether this is the only one at work: a lock of the session, held by no transaction."""
        with self._pipeline.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            lock = {"lock": _LOCK}
            mine = connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), lock).scalar_one()
            try:
                yield mine
            finally:
                if mine:
                    connection.execute(text("SELECT pg_advisory_unlock(:lock)"), lock)

    def _forget_ended(self) -> None:
        with transaction(self._pipeline.engine) as session:
            forget_ended(session)

    def _remove_scans(self) -> None:
        keep = self._settings.keep_results
        if keep is not None:
            removed = retention.remove_scans(self._pipeline, keep, self._stopped.is_set)
            log.info("retention.scans", removed=removed)

    def _remove_originals(self) -> None:
        keep = self._settings.keep_originals
        if keep is not None:
            removed = retention.remove_originals(self._pipeline, keep, self._stopped.is_set)
            log.info("retention.originals", removed=removed)

    def _keep_audit(self) -> None:
        owner_url = self._pipeline.settings.database_owner_url
        if owner_url is None:
            if not self._warned:
                log.warning("audit.partitions_not_kept", missing="DATABASE_OWNER_URL")
            self._warned = True
            return
        dropped = retention.keep_audit(owner_url, self._settings.keep_audit)
        if dropped:
            log.info("retention.audit", dropped=dropped)

    def _remove_orphans(self) -> None:
        removed = remove_orphans(self._pipeline, self._stopped.is_set)
        log.info("objects.reconciled", removed=removed)


def _one(piece: Callable[[], None]) -> str:
    """One piece of work, whose trouble keeps none of the others back; its outcome."""
    try:
        piece()
    except Unavailable as error:
        log.warning("maintenance.waits", reason=error.detail)
        return "waits"
    except Exception as error:
        log.exception("maintenance.failed", error=type(error).__name__)
        return "failed"
    return "done"
