"""The thread that finds what fell through: run-out leases, unpublished stages, lost messages.

It runs in every recorder; an advisory lock lets one sweep at a time.
"""

import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from sqlalchemy import ColumnElement, Engine, delete, func, text
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, select

from neuroscan.contracts.enums import StageName, StageState
from neuroscan.contracts.problems import Unavailable
from neuroscan.queues import marker_key, stage_queue
from neuroscan.settings import GatewaySettings
from neuroscan.storage import Storage
from neuroscan.telemetry import get_logger
from services.gateway.db.session import one_statement, transaction
from services.gateway.db.tables import OWN_TRACK, Erasure, IdempotencyKey, Scan, Stage, now
from services.gateway.pipeline.ledger import StageRef
from services.gateway.pipeline.messages import in_batch
from services.gateway.pipeline.publish import Publisher
from services.gateway.pipeline.record import lease_ran_out
from services.gateway.scans.erase import carry_out

log = get_logger(__name__)

_LOCK = 0x4E53_5357  # any number, the same for every sweeper
_AT_ONCE = 500
# Of each queue, so that a long one hides nothing in the others.
_OF_A_QUEUE = 200
# After the database, the broker or the recorder was away, results that were made meanwhile are
# still on their way: no lease is taken back until this long after.
_CALM_AFTER_S = 10.0
# A sweep that comes this much too late: this process, or the whole machine, was stopped.
_ASLEEP_AFTER_S = 5.0
# Messages are taken in the order in which they were sent: one that is still waiting when another,
# sent so much later, has been started is lost.
_OVERTAKEN_BY = timedelta(seconds=30)
# A deleted scan's objects go with the deletion itself. The sweeper looks again when every worker
# that had the scan in hand has written what it will.
_ERASE_AFTER = timedelta(minutes=2)
# After a failure, so that a store that hangs does not hold up every sweep.
_ERASE_AGAIN_AFTER_S = 60.0
# So long in a sweep, whatever is left: leases that run out meanwhile wait for it.
_ERASE_FOR_S = 1.0


@dataclass(frozen=True)
class _Queued:
    """A queued stage as the sweeper sees it."""

    ref: StageRef
    queue: str
    attempt: int
    published_at: datetime | None

    @property
    def marker(self) -> str:
        return marker_key(self.ref.scan_id, self.ref.name, self.attempt, self.ref.track)


class Sweeper:
    """Sweeps until stopped."""

    def __init__(
        self, engine: Engine, publisher: Publisher, storage: Storage, settings: GatewaySettings
    ) -> None:
        self._engine = engine
        self._publisher = publisher
        self._storage = storage
        self._settings = settings
        self._missing: set[str] = set()
        self._troubled_at = time.monotonic()
        self._erase_from = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin to sweep in the background."""
        self._thread.start()

    def stop(self) -> None:
        """End after the sweep at hand."""
        self._stopped.set()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        every_s = self._settings.sweep_every.total_seconds()
        ended = time.monotonic()
        while not self._stopped.wait(every_s):
            if time.monotonic() - ended > every_s + _ASLEEP_AFTER_S:
                self._troubled_at = time.monotonic()
            try:
                self.sweep()
            except Unavailable as error:
                self._troubled_at = time.monotonic()
                log.warning("sweep.waits", reason=error.detail)
            except Exception as error:
                # The sweeper is what mends everything else: it must outlive any surprise.
                log.exception("sweep.failed", error=type(error).__name__)
            ended = time.monotonic()

    def sweep(self) -> None:
        """One sweep; does nothing while another recorder sweeps."""
        with transaction(self._engine) as session:
            mine = session.execute(
                text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _LOCK}
            ).scalar_one()
            if not mine:
                return
            if self._calm():
                self._take_back_run_out_leases()
            self._publish([*self._unpublished(session), *self._lost(session)])
        self._forget_old_keys()
        self._erase()

    def _calm(self) -> bool:
        if not self._publisher.broker_answers():
            self._troubled_at = time.monotonic()
        return time.monotonic() - self._troubled_at > _CALM_AFTER_S

    def _take_back_run_out_leases(self) -> None:
        with one_statement(self._engine) as session:
            late = session.exec(
                select(Stage.scan_id, Stage.name, Stage.track)
                .where(Stage.state == StageState.RUNNING, col(Stage.lease_until) < now())
                .limit(_AT_ONCE)
            ).all()
        for scan_id, name, track in late:
            log.warning("stage.lease_ran_out", scan_id=scan_id, stage=name, track=track)
            with transaction(self._engine) as session:
                ref = StageRef(scan_id, StageName(name), track)
                lease_ran_out(session, ref, self._settings.attempts_max)

    def _publish(self, waiting: list[_Queued]) -> None:
        for queued in waiting:
            try:
                if not self._publisher.publish(queued.ref):
                    # The broker is away; the next sweep tries again.
                    return
            except Unavailable:
                raise
            except Exception as error:
                # One stage that can't be sent must not keep back those behind it.
                log.exception(
                    "sweep.stage_failed",
                    scan_id=queued.ref.scan_id,
                    stage=queued.ref.name,
                    error=type(error).__name__,
                )

    def _unpublished(self, session: Session) -> list[_Queued]:
        """Stages that may be sent and have not been, however many wait that were."""
        return self._queued(
            session, col(Stage.published_at).is_(None), col(Stage.available_at) < now()
        )

    def _queued(self, session: Session, *conditions: ColumnElement[bool]) -> list[_Queued]:
        """The oldest of each queue, those of single scans before those of batches."""
        batched, further = col(Scan.batch_id).is_not(None), col(Stage.track) != OWN_TRACK
        due = col(Stage.available_at)
        place = func.row_number().over(
            partition_by=(col(Stage.name), batched, further), order_by=due
        )
        queued = (
            select_columns(
                col(Stage.scan_id),
                col(Stage.name),
                col(Stage.track),
                col(Scan.batch_id),
                col(Stage.attempt),
                col(Stage.published_at),
                due,
                place.label("place"),
            )
            .join(Scan, col(Scan.id) == col(Stage.scan_id))
            .where(col(Stage.state) == StageState.QUEUED, *conditions)
            .subquery()
        )
        rows = session.execute(
            select_columns(queued)
            .where(queued.c.place <= _OF_A_QUEUE)
            .order_by(queued.c.batch_id.is_not(None), queued.c.available_at)
        )
        return [
            _Queued(
                StageRef(row.scan_id, StageName(row.name), row.track),
                _queue(row.name, row.track, row.batch_id),
                row.attempt,
                row.published_at,
            )
            for row in rows
        ]

    def _lost(self, session: Session) -> list[_Queued]:
        """Stages that were sent and whose message is gone."""
        grace = now() - self._settings.marker_grace
        waiting = self._queued(session, col(Stage.published_at) < grace)
        started = self._started_lately(session)
        try:
            missing = self._publisher.lost_markers([each.marker for each in waiting])
            quiet = {each.queue for each in waiting} - set(started)
            stalled = {queue for queue in quiet if self._publisher.queue_length(queue) == 0}
        except redis.RedisError:
            return []
        # A marker that a worker has just taken is missing too, until `started` is recorded: only
        # what was missing in the sweep before as well is lost.
        lost, self._missing = missing & self._missing, missing
        again = [
            each
            for each in waiting
            if each.marker in lost
            or (self._waits_long(each) and (each.queue in stalled or _overtaken(each, started)))
        ]
        if again:
            log.warning("sweep.messages_lost", count=len(again), markers_gone=len(lost))
        return again

    def _waits_long(self, queued: _Queued) -> bool:
        patience = now() - self._settings.queue_stalled_after
        return queued.published_at is not None and queued.published_at < patience

    def _started_lately(self, session: Session) -> dict[str, datetime | None]:
        """The queues of which any stage was started lately, and when the newest was sent."""
        since = now() - self._settings.queue_stalled_after
        rows = session.exec(
            select(Stage.name, Stage.track, Scan.batch_id, func.max(Stage.published_at))
            .join(Scan)
            # The index begins with the name: before PostgreSQL 18 all of it would be read, every
            # two seconds, without the names.
            .where(col(Stage.name).in_(list(StageName)), col(Stage.started_at) > since)
            .group_by(col(Stage.name), col(Stage.track), col(Scan.batch_id))
        )
        newest: dict[str, datetime | None] = {}
        for name, track, batch_id, sent_at in rows:
            queue = _queue(name, track, batch_id)
            times = [at for at in (newest.get(queue), sent_at) if at is not None]
            newest[queue] = max(times, default=None)
        return newest

    def _forget_old_keys(self) -> None:
        with one_statement(self._engine) as session:
            session.execute(
                delete(IdempotencyKey).where(col(IdempotencyKey.expires_at) < func.now())
            )

    def _erase(self) -> None:
        """Delete the objects of deleted scans; the order stands until they are gone.

        What was erased is written down in the store too, before the order goes.
        """
        if time.monotonic() < self._erase_from:
            return
        with one_statement(self._engine) as session:
            pending = session.exec(
                select(Erasure.prefix)
                .where(col(Erasure.asked_at) < now() - _ERASE_AFTER)
                # One that can't be carried out must not keep back those behind it.
                .order_by(func.random())
                .limit(_AT_ONCE)
            ).all()
        ends = time.monotonic() + _ERASE_FOR_S
        for prefix in pending:
            if time.monotonic() > ends or self._stopped.is_set():
                return
            try:
                carry_out(self._storage, prefix)
            except Unavailable as error:
                # Not what results travel through: leases are taken back all the same.
                self._erase_from = time.monotonic() + _ERASE_AGAIN_AFTER_S
                log.warning("sweep.erasure_waits", prefix=prefix, reason=error.detail)
                return
            with transaction(self._engine) as session:
                session.execute(delete(Erasure).where(col(Erasure.prefix) == prefix))


def _queue(name: str, track: str, batch_id: str | None) -> str:
    stage = StageName(name)
    return stage_queue(stage, batch=in_batch(stage, track, batch_id))


def _overtaken(queued: _Queued, started: dict[str, datetime | None]) -> bool:
    newest = started.get(queued.queue)
    if newest is None or queued.published_at is None:
        return False
    return newest - queued.published_at > _OVERTAKEN_BY
