"""All SQL of the hourly work."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import and_, exists, func, update
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, delete, select

from neuroscan.contracts.enums import StageState
from neuroscan.ids import first_id_at
from services.gateway.db.tables import Batch, Patient, Scan, Stage
from services.gateway.pipeline.keys import batch_prefix
from services.gateway.scans.repository import order_erasures_below

_OVER = (StageState.DONE, StageState.FAILED, StageState.CANCELED)


@dataclass
class KnownScan:
    """What the ledger knows of a scan's objects."""

    original_key: str | None
    at_work: bool = False
    prefixes: set[str] = field(default_factory=set)


def moment(session: Session) -> datetime:
    """Now, by the database's clock: a host whose clock is ahead must not delete what is young."""
    found: datetime = session.execute(select_columns(func.now())).scalar_one()
    return found


def first_kept(session: Session, keep: timedelta) -> str:
    """The lowest id that is not older than `keep`."""
    return first_id_at(moment(session) - keep)


def scans_between(session: Session, after_id: str, before_id: str, limit: int) -> list[str]:
    """The ids of scans behind one id and before another, oldest first."""
    between = and_(col(Scan.id) > after_id, col(Scan.id) < before_id)
    return list(session.exec(select(Scan.id).where(between).order_by(col(Scan.id)).limit(limit)))


def originals_before(session: Session, before_id: str, limit: int) -> dict[str, str]:
    """The keys of the originals that there still are of scans before an id, oldest first."""
    query = (
        select(Scan.id, Scan.original_key)
        .where(Scan.id < before_id, col(Scan.original_key).is_not(None))
        .order_by(col(Scan.id))
        .limit(limit)
    )
    return {scan_id: key for scan_id, key in session.exec(query) if key}


def forget_originals(session: Session, scan_ids: Sequence[str]) -> None:
    """Note that the originals of scans are gone."""
    session.execute(update(Scan).where(col(Scan.id).in_(scan_ids)).values(original_key=None))


def delete_batches_before(session: Session, before_id: str, limit: int) -> list[str]:
    """Delete batches older than an id that hold no scan any more; returns their ids."""
    empty = ~exists().where(col(Scan.batch_id) == col(Batch.id))
    old = select(Batch.id).where(Batch.id < before_id, empty).order_by(col(Batch.id)).limit(limit)
    locked = session.exec(old.with_for_update()).all()
    # Looked at again: a file may have come to one of them before the lock.
    emptied = delete(Batch).where(col(Batch.id).in_(locked), empty).returning(col(Batch.id))
    gone = list(session.execute(emptied).scalars())
    order_erasures_below(session, [batch_prefix(batch_id) for batch_id in gone])
    return gone


def holds_a_scan(session: Session) -> bool:
    """Whether the ledger has any scan at all."""
    return session.exec(select(Scan.id).limit(1)).one_or_none() is not None


def known_scans(session: Session, scan_ids: Iterable[str]) -> dict[str, KnownScan]:
    """Of these scans those that there are, each with the places of its results on every track."""
    ids = list(scan_ids)
    scans = select(Scan.id, Scan.original_key).where(col(Scan.id).in_(ids))
    known = {scan_id: KnownScan(original) for scan_id, original in session.exec(scans)}
    stages = select(Stage.scan_id, Stage.state, Stage.prefix).where(col(Stage.scan_id).in_(ids))
    for scan_id, state, prefix in session.exec(stages):
        scan = known.get(scan_id)
        if scan is None:
            continue
        scan.at_work |= state not in _OVER
        if prefix:
            scan.prefixes.add(prefix)
    return known


def batches_among(session: Session, ids: Iterable[str]) -> list[str]:
    """Of these ids those of batches that there are."""
    return list(session.exec(select(Batch.id).where(col(Batch.id).in_(list(ids)))))


def patients_among(session: Session, ids: Iterable[str]) -> list[str]:
    """Of these ids those of patients that there are."""
    return list(session.exec(select(Patient.id).where(col(Patient.id).in_(list(ids)))))
