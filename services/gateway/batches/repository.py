"""All SQL about batches and their items."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Float, String, and_, case, cast, func, literal
from sqlalchemy import select as select_columns
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, delete, select

from neuroscan.contracts.batch import REFUSED
from neuroscan.contracts.enums import ScanState, StageName, StageState
from neuroscan.contracts.problems import NotFound
from services.gateway.auth.principal import Principal
from services.gateway.db.tables import Batch, BatchItem, Json, Patient, Scan, Stage
from services.gateway.pipeline.keys import batch_prefix
from services.gateway.scans.repository import delete_scans, order_erasures_below

FINAL = [state for state in ScanState if state.final]


@dataclass(frozen=True)
class Held:
    """What a batch holds already."""

    files: int
    bytes: int
    next_position: int


@dataclass(frozen=True)
class ItemRow:
    """An item with what its scan has found so far; `failure` is the problem of a failed scan."""

    position: int
    file: str
    problem: Json | None
    scan_id: str | None
    state: str | None
    label: str | None
    confidence: float | None
    prediction_set: list[str] | None
    input_accepted: bool | None
    failure: Json | None


def visible(session: Session, batch_id: str, by: Principal) -> Batch:
    """A batch that the caller may see; raises `NotFound` for any other."""
    batch = session.get(Batch, batch_id)
    if batch is None or by.sees_only not in (None, batch.owner):
        raise NotFound("No batch has this id. It may have been deleted.")
    return batch


def patient_of(session: Session, batch: Batch) -> Patient | None:
    """The patient of all of a batch, if it has one."""
    return session.get(Patient, batch.patient_id) if batch.patient_id else None


def lock(session: Session, batch_id: str) -> bool:
    """Lock a batch's row until the transaction ends; False when there is none."""
    query = select(Batch.id).where(Batch.id == batch_id).with_for_update(key_share=True)
    return session.exec(query).one_or_none() is not None


def share_patient(session: Session, patient_id: str) -> bool:
    """Keep a patient from being deleted before the transaction ends; False when there is none."""
    query = select(Patient.id).where(Patient.id == patient_id)
    return session.exec(query.with_for_update(read=True, key_share=True)).one_or_none() is not None


def brought(session: Session, batch_id: str, upload: str, upload_index: int) -> str | None:
    """The digest of the file that an upload has brought at a place, if it has."""
    query = select(BatchItem.sha256).where(
        BatchItem.batch_id == batch_id,
        BatchItem.upload == upload,
        BatchItem.upload_index == upload_index,
    )
    return session.exec(query).one_or_none()


def held(session: Session, batch_id: str) -> Held:
    """How much a batch holds."""
    query = select(
        func.count(),
        func.coalesce(func.sum(BatchItem.size), 0),
        func.coalesce(func.max(BatchItem.position) + 1, 0),
    ).where(BatchItem.batch_id == batch_id)
    files, size, position = session.exec(query).one()
    return Held(files=files, bytes=int(size), next_position=position)


def version_of(session: Session, batch_id: str) -> tuple[str, bool]:
    """A digest over the items and their scans' versions, and whether all of them are over."""
    each = func.concat_ws(
        ":", BatchItem.position, cast(BatchItem.scan_id, String), cast(Scan.version, String)
    )
    listed = func.string_agg(each, aggregate_order_by(literal(","), col(BatchItem.position)))
    query = (
        select(func.md5(func.coalesce(listed, "")), func.coalesce(func.bool_and(_over()), True))
        .select_from(BatchItem)
        .outerjoin(Scan, col(Scan.id) == col(BatchItem.scan_id))
        .where(BatchItem.batch_id == batch_id)
    )
    digest, over = session.exec(query).one()
    return str(digest), bool(over)


def items_of(session: Session, batch_id: str) -> list[ItemRow]:
    """The items in their order. What a scan has found is taken from its stages in the database."""
    classify, failed = aliased(Stage), aliased(Stage)
    found = col(classify.output)
    query = (
        select_columns(
            col(BatchItem.position),
            col(BatchItem.file),
            col(BatchItem.problem),
            col(BatchItem.scan_id),
            col(Scan.state),
            col(Scan.label),
            cast(found[("classification", "confidence")].astext, Float),
            found[("classification", "prediction_set")],
            found[("input_check", "accepted")].as_boolean(),
            col(failed.problem),
        )
        .outerjoin(Scan, col(Scan.id) == col(BatchItem.scan_id))
        .outerjoin(classify, _own_stage(classify, col(classify.name) == StageName.CLASSIFY))
        .outerjoin(failed, _own_stage(failed, col(failed.state) == StageState.FAILED))
        .where(col(BatchItem.batch_id) == batch_id)
        .order_by(col(BatchItem.position))
    )
    return [ItemRow(*row) for row in session.execute(query)]


def scans_between(
    session: Session, batch_id: str, *, after: int, limit: int
) -> list[tuple[BatchItem, Scan | None]]:
    """Items behind a position, with their scans."""
    query = (
        select_columns(BatchItem, Scan)
        .outerjoin(Scan, col(Scan.id) == col(BatchItem.scan_id))
        .where(col(BatchItem.batch_id) == batch_id, col(BatchItem.position) > after)
        .order_by(col(BatchItem.position))
        .limit(limit)
    )
    return [(item, scan) for item, scan in session.execute(query)]


def scan_ids(session: Session, batch_id: str) -> list[str]:
    """The scans of a batch."""
    query = select(BatchItem.scan_id).where(
        BatchItem.batch_id == batch_id, col(BatchItem.scan_id).is_not(None)
    )
    return [scan_id for scan_id in session.exec(query) if scan_id is not None]


def list_batches(
    session: Session, by: Principal, *, after_id: str | None, limit: int
) -> list[Batch]:
    """Newest first (ids sort by time), beginning after `after_id`."""
    query = select(Batch).order_by(col(Batch.id).desc()).limit(limit)
    if by.sees_only is not None:
        query = query.where(Batch.owner == by.sees_only)
    if after_id is not None:
        query = query.where(col(Batch.id) < after_id)
    return list(session.exec(query))


def states_of_many(session: Session, batch_ids: list[str]) -> dict[str, dict[str, int]]:
    """How many items of each batch are in each state."""
    state = case((col(BatchItem.scan_id).is_(None), REFUSED), else_=Scan.state)
    query = (
        select(BatchItem.batch_id, state, func.count())
        .outerjoin(Scan, col(Scan.id) == col(BatchItem.scan_id))
        .where(col(BatchItem.batch_id).in_(batch_ids))
        .group_by(col(BatchItem.batch_id), state)
    )
    states: dict[str, dict[str, int]] = {batch_id: {} for batch_id in batch_ids}
    for batch_id, name, count in session.execute(query):
        states[batch_id][name] = count
    return states


def states_of(session: Session, batch_id: str) -> dict[str, int]:
    """How many items of a batch are in each state."""
    return states_of_many(session, [batch_id])[batch_id]


def are_over(states: Iterable[str]) -> bool:
    """Whether nothing in these states moves on by itself."""
    return {*FINAL, REFUSED}.issuperset(states)


def take_back(session: Session, batch_id: str, upload: str, indexes: list[int]) -> list[str]:
    """Remove what a request brought, and the batch if nothing else is in it.

    Returns the ids of the scans, the erasure of whose objects is ordered.
    """
    ours = and_(
        col(BatchItem.batch_id) == batch_id,
        col(BatchItem.upload) == upload,
        col(BatchItem.upload_index).in_(indexes),
    )
    if not lock(session, batch_id):
        return []
    found = session.exec(select(BatchItem.scan_id).where(ours, col(BatchItem.scan_id).is_not(None)))
    gone = delete_scans(session, [scan_id for scan_id in found if scan_id is not None])
    session.execute(delete(BatchItem).where(ours))
    return gone


def delete_batch(session: Session, batch_id: str) -> list[str] | None:
    """Remove a batch with its scans, order the erasure of their objects.

    Returns the ids of the scans; None when there is no such batch.
    """
    # Before its scans, as all do who bring something or take it away.
    if not lock(session, batch_id):
        return None
    gone = delete_scans(session, scan_ids(session, batch_id))
    order_erasures_below(session, [batch_prefix(batch_id)])
    session.execute(delete(Batch).where(col(Batch.id) == batch_id))
    return gone


def delete_empty(session: Session, batch_id: str) -> bool:
    """Remove a batch that holds nothing; False when it holds something or is gone."""
    filled = select(BatchItem.position).where(BatchItem.batch_id == batch_id).exists()
    statement = delete(Batch).where(col(Batch.id) == batch_id, ~filled).returning(col(Batch.id))
    if session.execute(statement).scalar_one_or_none() is None:
        return False
    order_erasures_below(session, [batch_prefix(batch_id)])
    return True


def _over() -> ColumnElement[bool]:
    return case((col(BatchItem.scan_id).is_(None), True), else_=col(Scan.state).in_(FINAL))


def _own_stage(stage: type[Stage], wanted: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(col(stage.scan_id) == col(BatchItem.scan_id), col(stage.track) == "", wanted)
