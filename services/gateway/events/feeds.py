"""What a stream reads: the changes of a scan, or of a batch's scans, since it last looked.

Feeds are synchronous and run in threads, one call at a time.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from sqlalchemy import Engine
from sqlmodel import Session

from neuroscan.contracts.base import Contract
from neuroscan.contracts.batch import ByState
from neuroscan.contracts.enums import ScanState
from neuroscan.contracts.events import BatchChange, BatchProgress, ScanChange
from services.gateway.audit import record as audit
from services.gateway.audit.record import ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.auth.repository import require_live
from services.gateway.batches import repository as batches
from services.gateway.db.session import snapshot, transaction
from services.gateway.db.tables import Scan, ScanEvent
from services.gateway.events import repository
from services.gateway.scans.repository import visible
from services.gateway.scans.service import ScanService

# Sequences of different scans are drawn before their transactions commit: one that is lower may
# appear later, by the length of a transaction.
SETTLED_AFTER = timedelta(seconds=10)


@dataclass(frozen=True)
class Told:
    """One event of a stream."""

    event: str
    sequence: int
    data: Contract


@dataclass(frozen=True)
class Reading:
    """What is new, in order. `over`: nothing else will come by itself."""

    told: list[Told]
    over: bool


class Feed(Protocol):
    """A scan's or a batch's changes. Each method raises `NotFound` and `Unavailable`.

    `read` raises `Unauthenticated` when the caller's key has ended.
    """

    def begin(self, last: int | None) -> Reading:
        """What a client needs first that has seen everything up to `last` (None: nothing)."""

    def read(self) -> Reading:
        """What is new since the last call."""


class ScanFeed:
    """The changes of one scan."""

    def __init__(self, engine: Engine, scans: ScanService, scan_id: str, by: Principal) -> None:
        self._engine = engine
        self._scans = scans
        self._scan_id = scan_id
        self._by = by
        self._last = 0

    def begin(self, last: int | None) -> Reading:
        """A snapshot; for a client that comes back, what it missed."""
        with transaction(self._engine) as session:
            snapshot(session)
            scan = visible(session, self._scan_id, self._by)
            newest = repository.last_event(session, self._scan_id)
            if last is not None:
                self._last = min(last, newest)
                if last >= newest and ScanState(scan.state).final:
                    return Reading([], over=True)
            audit.note_reads(session, self._by, ObjectKind.SCAN, [self._scan_id])
            if last is not None:
                return self._since(session, scan)
            self._last = newest
            view = self._scans.view(session, self._scan_id, self._by)
            told = [Told("snapshot", newest, view)]
            over = view.state.final
            return Reading(told + [self._end(scan)] * over, over)

    def read(self) -> Reading:
        """The changes since, and the end."""
        with transaction(self._engine) as session:
            snapshot(session)
            require_live(session, self._by)
            return self._since(session, visible(session, self._scan_id, self._by))

    def _since(self, session: Session, scan: Scan) -> Reading:
        events = repository.scan_events(session, scan.id, self._last)
        told = [_change_of_scan(event) for event in events]
        self._last = told[-1].sequence if told else self._last
        over = ScanState(scan.state).final
        return Reading(told + [self._end(scan)] * over, over)

    def _end(self, scan: Scan) -> Told:
        change = ScanChange(
            sequence=self._last,
            version=scan.version,
            state=ScanState(scan.state),
            stage=None,
            stage_state=None,
            at=scan.updated_at,
        )
        return Told("end", self._last, change)


class BatchFeed:
    """The changes of a batch's scans. After a resumption some of the last may come again."""

    def __init__(self, engine: Engine, batch_id: str, by: Principal) -> None:
        self._engine = engine
        self._batch_id = batch_id
        self._by = by
        # Everything up to `_floor` is settled; of what lies beyond, `_seen` was told already.
        self._floor = 0
        self._seen: set[int] = set()
        self._last = 0

    def begin(self, last: int | None) -> Reading:
        """A snapshot; for a client that comes back, what it missed."""
        with transaction(self._engine) as session:
            snapshot(session)
            batches.visible(session, self._batch_id, self._by)
            newest = repository.last_of_batch(session, self._batch_id)
            states = batches.states_of(session, self._batch_id)
            if last is not None and last >= newest and batches.are_over(states):
                return Reading([], over=True)
            audit.note_reads(session, self._by, ObjectKind.BATCH, [self._batch_id])
            self._last = newest if last is None else min(last, newest)
            self._floor = repository.settled_before(
                session, self._batch_id, self._last, SETTLED_AFTER
            )
            if last is not None:
                return self._since(session, states)
            events = repository.batch_events(session, self._batch_id, self._floor)
            self._seen = {_sequence(event) for event in events}
            over = batches.are_over(states)
            told = [self._progress("snapshot", states)]
            return Reading(told + [self._progress("end", states)] * over, over)

    def read(self) -> Reading:
        """The changes since, and the end."""
        with transaction(self._engine) as session:
            snapshot(session)
            require_live(session, self._by)
            batches.visible(session, self._batch_id, self._by)
            return self._since(session, batches.states_of(session, self._batch_id))

    def _since(self, session: Session, states: dict[str, int]) -> Reading:
        events = repository.batch_events(session, self._batch_id, self._floor)
        told = [_change_in_batch(each) for each in events if each.sequence not in self._seen]
        self._settle(events)
        over = batches.are_over(states)
        return Reading(told + [self._progress("end", states)] * over, over)

    def _settle(self, events: list[ScanEvent]) -> None:
        if not events:
            return
        settled_until = max(event.at for event in events) - SETTLED_AFTER
        settled = [_sequence(event) for event in events if event.at < settled_until]
        self._floor = max([self._floor, *settled])
        self._seen = {_sequence(each) for each in events if _sequence(each) > self._floor}
        self._last = max(self._last, _sequence(events[-1]))

    def _progress(self, event: str, states: dict[str, int]) -> Told:
        progress = BatchProgress(
            id=self._batch_id,
            sequence=self._last,
            total=sum(states.values()),
            by_state=ByState.model_validate(states),
        )
        return Told(event, self._last, progress)


def _sequence(event: ScanEvent) -> int:
    assert event.sequence is not None
    return event.sequence


def _change_of_scan(event: ScanEvent) -> Told:
    facts = event.model_dump(exclude={"scan_id"})
    change = ScanChange.model_validate(facts | {"track": event.track or None})
    return Told("change", change.sequence, change)


def _change_in_batch(event: ScanEvent) -> Told:
    facts = event.model_dump()
    change = BatchChange.model_validate(facts | {"track": event.track or None})
    return Told("change", change.sequence, change)
