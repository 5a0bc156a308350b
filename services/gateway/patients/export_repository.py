"""All SQL of an export: everything that the ledger holds about a patient, a portion at a time."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import inspect
from sqlmodel import Session, SQLModel, col, select

from services.gateway.db.tables import (
    Analysis,
    Batch,
    BatchItem,
    Explanation,
    Json,
    Review,
    Scan,
    ScanEvent,
    Stage,
)

# Every table whose rows belong to a scan, but for clients' idempotency keys, which live a day.
OF_A_SCAN: tuple[type[SQLModel], ...] = (
    Stage,
    ScanEvent,
    Review,
    Explanation,
    Analysis,
    BatchItem,
)

# A scan's rows by the name of their table.
Rows = dict[str, list[Json]]


def scans_after(session: Session, patient_id: str, after_id: str | None, limit: int) -> list[Scan]:
    """A patient's scans, oldest first, beginning after `after_id`."""
    query = select(Scan).where(Scan.patient_id == patient_id).order_by(col(Scan.id)).limit(limit)
    if after_id is not None:
        query = query.where(col(Scan.id) > after_id)
    return list(session.exec(query))


def rows_of_scans(session: Session, scan_ids: Sequence[str]) -> dict[str, Rows]:
    """The rows that belong to each scan."""
    found: dict[str, Rows] = defaultdict(dict)
    for table in OF_A_SCAN:
        columns = inspect(table).columns
        query = select(table).where(columns["scan_id"].in_(scan_ids))
        for row in session.exec(query.order_by(*inspect(table).primary_key)):
            values = as_json(row)
            name = str(inspect(table).local_table)
            found[values["scan_id"]].setdefault(name, []).append(values)
    return found


def batches_of(session: Session, patient_id: str) -> list[str]:
    """The ids of the patient's batches, oldest first."""
    query = select(Batch.id).where(Batch.patient_id == patient_id).order_by(col(Batch.id))
    return list(session.exec(query))


def batch_rows(session: Session, batch_id: str) -> Rows | None:
    """A batch and its files, those too that became no scan; None when it is gone."""
    batch = session.get(Batch, batch_id)
    if batch is None:
        return None
    files = select(BatchItem).where(BatchItem.batch_id == batch_id)
    items = session.exec(files.order_by(col(BatchItem.position)))
    return {"batch": [as_json(batch)], "batch_item": [as_json(item) for item in items]}


def as_json(row: SQLModel) -> Json:
    """A row as it is stored."""
    values: Json = row.model_dump(mode="json")
    return values
