"""All SQL about events of scans and batches."""

from collections import Counter
from datetime import timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from neuroscan.contracts.enums import ScanState
from neuroscan.contracts.problems import NotFound
from services.gateway.auth.principal import Principal
from services.gateway.db.tables import Batch, BatchItem, Scan, ScanEvent


def last_event(session: Session, scan_id: str) -> int:
    """The sequence of a scan's last event; 0 when there is none."""
    query = select(func.max(ScanEvent.sequence)).where(ScanEvent.scan_id == scan_id)
    return session.exec(query).one() or 0


def scan_events(session: Session, scan_id: str, after: int) -> list[ScanEvent]:
    """A scan's events beyond a sequence, in order.

    Every change of a scan locks its row, so that the order of sequences is that of commits.
    """
    query = select(ScanEvent).where(ScanEvent.scan_id == scan_id, col(ScanEvent.sequence) > after)
    return list(session.exec(query.order_by(col(ScanEvent.sequence))))


def visible_batch(session: Session, batch_id: str, by: Principal) -> Batch:
    """A batch that the caller may see; raises `NotFound` for any other."""
    batch = session.get(Batch, batch_id)
    if batch is None or by.sees_only not in (None, batch.owner):
        raise NotFound("No batch has this id. It may have been deleted.")
    return batch


def batch_events(session: Session, batch_id: str, after: int) -> list[ScanEvent]:
    """The events of a batch's scans beyond a sequence, in order."""
    query = (
        select(ScanEvent)
        .join(Scan, col(Scan.id) == col(ScanEvent.scan_id))
        .where(Scan.batch_id == batch_id, col(ScanEvent.sequence) > after)
    )
    return list(session.exec(query.order_by(col(ScanEvent.sequence))))


def last_of_batch(session: Session, batch_id: str) -> int:
    """The sequence of the last event of a batch's scans; 0 when there is none."""
    query = (
        select(func.max(ScanEvent.sequence))
        .join(Scan, col(Scan.id) == col(ScanEvent.scan_id))
        .where(Scan.batch_id == batch_id)
    )
    return session.exec(query).one() or 0


def settled_before(session: Session, batch_id: str, sequence: int, margin: timedelta) -> int:
    """The last sequence of a batch that is older than that event by a margin; 0: none is."""
    own = (
        select(ScanEvent.sequence, ScanEvent.at)
        .join(Scan, col(Scan.id) == col(ScanEvent.scan_id))
        .where(Scan.batch_id == batch_id, col(ScanEvent.sequence) <= sequence)
        .subquery()
    )
    newest = select(func.max(own.c.at)).scalar_subquery()
    query = select(func.max(own.c.sequence)).where(own.c.at < newest - margin)
    return session.exec(query).one() or 0


def batch_states(session: Session, batch_id: str) -> dict[ScanState, int]:
    """How many files of a batch are in which state; refused ones are `failed`."""
    query = (
        select(Scan.state, func.count())
        .select_from(BatchItem)
        .join(Scan, col(Scan.id) == col(BatchItem.scan_id), isouter=True)
        .where(BatchItem.batch_id == batch_id)
        .group_by(col(Scan.state))
    )
    states: Counter[ScanState] = Counter()
    for state, count in session.exec(query):
        # Missing where there is no scan, although the join's type does not say so.
        states[ScanState(state or ScanState.FAILED)] += count
    return dict(states)
