"""All SQL about scans, their stages and idempotency keys."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, delete, select

from neuroscan.contracts.enums import StageName
from neuroscan.contracts.problems import IdempotencyInProgress
from services.gateway.db.tables import Erasure, IdempotencyKey, Scan, Stage, now
from services.gateway.pipeline.keys import scan_prefix


@dataclass(frozen=True)
class ScanFilter:
    """What a list is narrowed to."""

    patient_id: str | None = None
    state: str | None = None
    label: str | None = None
    reference: str | None = None
    created_after: datetime | None = None

    def facts(self) -> dict[str, str | None]:
        """The filter as text, to bind a cursor to it."""
        return {
            "patient_id": self.patient_id,
            "state": self.state,
            "label": self.label,
            "reference": self.reference,
            "created_after": self.created_after.isoformat() if self.created_after else None,
        }


def snapshot(session: Session) -> None:
    """Let all queries of this transaction see one moment. To be called before the first.

    Else a scan that is deleted between two queries has a row without stages.
    """
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def stages_of(session: Session, scan_id: str) -> dict[StageName, Stage]:
    """The four stages of a scan."""
    rows = session.exec(select(Stage).where(Stage.scan_id == scan_id))
    return {StageName(stage.name): stage for stage in rows}


def stages_of_many(session: Session, scan_ids: list[str]) -> dict[str, dict[StageName, Stage]]:
    """The stages of several scans, in one query."""
    stages: dict[str, dict[StageName, Stage]] = {scan_id: {} for scan_id in scan_ids}
    for stage in session.exec(select(Stage).where(col(Stage.scan_id).in_(scan_ids))):
        stages[stage.scan_id][StageName(stage.name)] = stage
    return stages


def version_of(session: Session, scan_id: str) -> tuple[int, str] | None:
    """A scan's version and state, for those who wait for a change."""
    return session.exec(select(Scan.version, Scan.state).where(Scan.id == scan_id)).one_or_none()


def list_scans(
    session: Session, filters: ScanFilter, *, after_id: str | None, limit: int
) -> list[Scan]:
    """Newest first (ids sort by time), at most `limit`, beginning after `after_id`."""
    query = select(Scan).order_by(col(Scan.id).desc()).limit(limit)
    for column in ("patient_id", "state", "label", "reference"):
        wanted = getattr(filters, column)
        if wanted is not None:
            query = query.where(getattr(Scan, column) == wanted)
    if filters.created_after is not None:
        query = query.where(col(Scan.created_at) > filters.created_after)
    if after_id is not None:
        query = query.where(col(Scan.id) < after_id)
    return list(session.exec(query))


def delete_scan(session: Session, scan_id: str) -> bool:
    """Remove a scan's rows and order the erasure of its objects; False when there was none."""
    gone = session.execute(delete(Scan).where(col(Scan.id) == scan_id).returning(col(Scan.id)))
    if gone.scalar_one_or_none() is None:
        return False
    order_erasures(session, [scan_id])
    return True


def order_erasures(session: Session, scan_ids: list[str]) -> None:
    """Order the erasure of scans' objects; a deletion at the same time may have ordered it too."""
    if scan_ids:
        rows = [{"prefix": scan_prefix(scan_id), "asked_at": now()} for scan_id in scan_ids]
        session.execute(insert(Erasure).values(rows).on_conflict_do_nothing())


@dataclass(frozen=True)
class KeyUse:
    """One use of an idempotency key."""

    principal: str
    route: str
    key: str
    fingerprint: str

    def matches(self) -> ColumnElement[bool]:
        """The SQL condition for this key's row."""
        return and_(
            col(IdempotencyKey.principal) == self.principal,
            col(IdempotencyKey.route) == self.route,
            col(IdempotencyKey.key) == self.key,
        )


def claim_key(session: Session, use: KeyUse, *, hold: timedelta, lifetime: timedelta) -> bool:
    """Insert the key, or take over one that has expired or whose holder died; False otherwise.

    One statement, so that of simultaneous requests only one succeeds.
    """
    moment = now()
    row = {
        "principal": use.principal,
        "route": use.route,
        "key": use.key,
        "fingerprint": use.fingerprint,
        "scan_id": None,
        "held_until": moment + hold,
        "expires_at": moment + lifetime,
    }
    free = or_(
        col(IdempotencyKey.expires_at) < moment,
        and_(col(IdempotencyKey.scan_id).is_(None), col(IdempotencyKey.held_until) < moment),
    )
    statement = (
        insert(IdempotencyKey)
        .values(row)
        .on_conflict_do_update(
            index_elements=["principal", "route", "key"],
            set_={
                name: row[name] for name in ("fingerprint", "scan_id", "held_until", "expires_at")
            },
            where=free,
        )
        .returning(col(IdempotencyKey.key))
    )
    return session.execute(statement).scalar_one_or_none() is not None


def key_row(session: Session, use: KeyUse) -> IdempotencyKey | None:
    """The key's row as it is now."""
    return session.get(IdempotencyKey, (use.principal, use.route, use.key))


def bind_key(session: Session, use: KeyUse, scan_id: str) -> None:
    """Say which scan the key made, in the scan's own transaction.

    Raises `IdempotencyInProgress` when another request took the key over in the meantime.
    """
    unbound = col(IdempotencyKey.scan_id).is_(None)
    bound = session.execute(
        update(IdempotencyKey)
        .where(use.matches(), unbound, col(IdempotencyKey.fingerprint) == use.fingerprint)
        .values(scan_id=scan_id)
        .returning(col(IdempotencyKey.key))
    )
    if bound.scalar_one_or_none() is None:
        raise IdempotencyInProgress(retry_after_s=1)


def release_key(session: Session, use: KeyUse) -> None:
    """Forget a key whose request came to nothing, so that it can be used again."""
    session.execute(
        delete(IdempotencyKey).where(use.matches(), col(IdempotencyKey.scan_id).is_(None))
    )
