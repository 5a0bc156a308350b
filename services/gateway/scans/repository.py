"""All SQL about scans, their stages and their reviews."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from sqlalchemy import ColumnElement, func, or_
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Mapped, aliased
from sqlmodel import Session, col, delete, select

from neuroscan.contracts.enums import StageName
from neuroscan.contracts.problems import NotFound
from neuroscan.ids import first_id_at
from services.gateway.auth.principal import Principal
from services.gateway.db.tables import OWN_TRACK, Erasure, Review, Scan, Stage, now
from services.gateway.pipeline.keys import scan_prefix
from services.gateway.pipeline.ledger import changed

# A scan gets its id before its row gets its time: far less than this.
_ID_BEFORE_ROW = timedelta(minutes=1)


@dataclass(frozen=True)
class ScanFilter:
    """What a list is narrowed to.

    `label` leaves out pictures that the input check turned away: theirs says nothing.
    """

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


@dataclass(frozen=True)
class Place:
    """Where a scan stands in its patient's history."""

    at: datetime
    scan_id: str

    @classmethod
    def of(cls, scan: Scan) -> Self:
        """A scan's place."""
        return cls(scan.acquired_at or scan.created_at, scan.id)


@dataclass(frozen=True)
class Found:
    """A scan with all that is shown of it."""

    scan: Scan
    stages: dict[StageName, Stage]
    review: Review | None


def stages_of(session: Session, scan_id: str, track: str = "") -> dict[StageName, Stage]:
    """The four stages of a scan, or those of further work on it."""
    rows = session.exec(select(Stage).where(Stage.scan_id == scan_id, Stage.track == track))
    return {StageName(stage.name): stage for stage in rows}


def stages_of_many(session: Session, scan_ids: list[str]) -> dict[str, dict[StageName, Stage]]:
    """The stages of several scans, in one query."""
    stages: dict[str, dict[StageName, Stage]] = {scan_id: {} for scan_id in scan_ids}
    own = select(Stage).where(col(Stage.scan_id).in_(scan_ids), Stage.track == "")
    for stage in session.exec(own):
        stages[stage.scan_id][StageName(stage.name)] = stage
    return stages


def found(session: Session, scan_id: str, by: Principal | None) -> Found:
    """A scan that the caller may see, with what is shown of it, in one query.

    Raises `NotFound` for any other. None may see all: the recorder.
    """
    newest = select(Review).where(Review.scan_id == scan_id).order_by(col(Review.id).desc())
    verdict = aliased(Review, newest.limit(1).subquery())
    rows = session.execute(
        select(Scan, Stage, verdict)
        .join(Stage, col(Stage.scan_id) == col(Scan.id))
        .join(verdict, col(verdict.scan_id) == col(Scan.id), isouter=True)
        .where(Scan.id == scan_id, Stage.track == "")
    ).all()
    sees_only = by.sees_only if by is not None else None
    if not rows or sees_only not in (None, rows[0][0].owner):
        raise NotFound("No scan has this id. It may have been deleted.")
    scan, _, review = rows[0]
    return Found(scan, {StageName(stage.name): stage for _, stage, _ in rows}, review)


def visible(session: Session, scan_id: str, by: Principal, *, lock: bool = False) -> Scan:
    """A scan that the caller may see, locked if asked for; raises `NotFound` for any other."""
    scan = session.get(Scan, scan_id, with_for_update=lock or None)
    if scan is None or by.sees_only not in (None, scan.owner):
        raise NotFound("No scan has this id. It may have been deleted.")
    return scan


def version_of(session: Session, scan_id: str, by: Principal) -> tuple[int, str] | None:
    """A scan's version and state, for those who wait for a change."""
    query = select(Scan.version, Scan.state).where(Scan.id == scan_id)
    if by.sees_only is not None:
        query = query.where(Scan.owner == by.sees_only)
    return session.exec(query).one_or_none()


def first_of_picture(session: Session, patient_id: str, sha256: str) -> str | None:
    """The patient's first scan of the same bytes, also where another is being taken in now.

    It can't be deleted before the transaction ends: where it is being deleted, this waits, and
    finds the one that takes its place.
    """
    session.execute(
        select(func.pg_advisory_xact_lock(func.hashtextextended(f"{patient_id} {sha256}", 0)))
    )
    query = (
        select(Scan.id)
        .where(Scan.patient_id == patient_id, Scan.sha256 == sha256)
        .order_by(col(Scan.duplicate_of).is_not(None), col(Scan.id))
        .limit(1)
        .with_for_update(read=True, key_share=True)
    )
    return session.exec(query).one_or_none()


def newest_reviews(session: Session, scan_ids: list[str]) -> dict[str, Review]:
    """The verdicts that count of several scans, in one query."""
    query = (
        select(Review)
        .where(col(Review.scan_id).in_(scan_ids))
        .order_by(col(Review.scan_id), col(Review.id).desc())
        .ext(distinct_on(col(Review.scan_id)))
    )
    return {review.scan_id: review for review in session.exec(query)}


def list_scans(
    session: Session, filters: ScanFilter, by: Principal, *, after_id: str | None, limit: int
) -> list[Scan]:
    """Newest first (ids sort by time), at most `limit`, beginning after `after_id`."""
    query = select(Scan).order_by(col(Scan.id).desc()).limit(limit)
    if by.sees_only is not None:
        query = query.where(Scan.owner == by.sees_only)
    for column in ("patient_id", "state", "label", "reference"):
        wanted = getattr(filters, column)
        if wanted is not None:
            query = query.where(getattr(Scan, column) == wanted)
    if filters.label is not None:
        query = query.where(~turned_away(col(Scan.id)))
    if filters.created_after is not None:
        # Ids sort by time: the list ends there, instead of looking at everything that is older.
        since = first_id_at(filters.created_after - _ID_BEFORE_ROW)
        query = query.where(col(Scan.id) >= since, col(Scan.created_at) > filters.created_after)
    if after_id is not None:
        query = query.where(col(Scan.id) < after_id)
    return list(session.exec(query))


def history_of(session: Session, patient_id: str, *, after: Place | None, limit: int) -> list[Scan]:
    """A patient's scans by date of acquisition, else of arrival, newest first, after a place."""
    at = func.coalesce(col(Scan.acquired_at), col(Scan.created_at))
    query = select(Scan).where(Scan.patient_id == patient_id)
    if after is not None:
        # The first condition alone is what the index begins at.
        query = query.where(at <= after.at, or_(at < after.at, col(Scan.id) < after.scan_id))
    return list(session.exec(query.order_by(at.desc(), col(Scan.id).desc()).limit(limit)))


def turned_away(scan_id: Mapped[str]) -> ColumnElement[bool]:
    """Whether the input check turned a scan's picture away; false where it is not classified."""
    # As EXISTS it would be planned as a join, over the classify stages of all scans.
    accepted = (
        select(col(Stage.output)[("input_check", "accepted")].as_boolean())
        .where(
            Stage.scan_id == scan_id,
            Stage.track == OWN_TRACK,
            Stage.name == StageName.CLASSIFY,
        )
        .scalar_subquery()
    )
    return accepted.is_(False)


def delete_scan(session: Session, scan_id: str) -> bool:
    """As `delete_scans`, of one; False when there was none."""
    return bool(delete_scans(session, [scan_id]))


def delete_scans(session: Session, scan_ids: Sequence[str]) -> list[str]:
    """Remove scans' rows and order the erasure of their objects; the ids of those there were.

    Where others that stay are marked as the same picture, the oldest of them becomes the first.
    """
    going, marked = col(Scan.id).in_(scan_ids), col(Scan.duplicate_of).in_(scan_ids)
    # In the order of ids, as all do who lock many scans, so that none waits for another in a ring.
    by_id = select(Scan.id).order_by(col(Scan.id)).with_for_update()
    if not session.exec(by_id.where(or_(going, marked))).all():
        return []
    # Nobody marks another copy from here on. One that came during the wait is seen only now.
    copies = select(Scan).where(marked, ~going).order_by(col(Scan.id)).with_for_update()
    heirs: dict[str | None, str] = {}
    for copy in session.exec(copies.execution_options(populate_existing=True)).all():
        first, copy.duplicate_of = copy.duplicate_of, heirs.get(copy.duplicate_of)
        heirs.setdefault(first, copy.id)
        changed(session, copy, None)
    session.flush()
    gone = list(session.execute(delete(Scan).where(going).returning(col(Scan.id))).scalars())
    order_erasures(session, gone)
    return gone


def order_erasures(session: Session, scan_ids: Sequence[str]) -> None:
    """Order the erasure of scans' objects; a deletion at the same time may have ordered it too."""
    order_erasures_below(session, [scan_prefix(scan_id) for scan_id in scan_ids])


def order_erasures_below(session: Session, prefixes: Sequence[str]) -> None:
    """Order the erasure of what has these prefixes, and that it is remembered outside."""
    if prefixes:
        rows = [{"prefix": prefix, "asked_at": now()} for prefix in prefixes]
        session.execute(insert(Erasure).on_conflict_do_nothing(), rows)
