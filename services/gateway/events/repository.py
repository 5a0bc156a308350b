"""All SQL about events of scans and batches."""

from datetime import timedelta

from sqlalchemy import func
from sqlmodel import Session, col, select

from services.gateway.db.tables import Scan, ScanEvent


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
