"""Write the audit's rows, in the transaction of what they tell of.

Rows hold ids and names of fields: no value, no person's name. The request's id comes from the log's
context, where the outermost middleware puts it.
"""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

import structlog
from sqlalchemy import text
from sqlmodel import Session

from neuroscan.ids import new_id
from services.gateway.auth.principal import Principal
from services.gateway.db.tables import Audit, now

# Repeated reads of one object by one caller count once in this time.
READ_COUNTS_ONCE_IN = timedelta(minutes=10)


class ObjectKind(StrEnum):
    """What a row is about."""

    SCAN = "scan"
    PATIENT = "patient"
    BATCH = "batch"
    KEY = "key"
    WEBHOOK = "webhook"


class Action(StrEnum):
    """What was done."""

    READ = "read"
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    CANCELED = "canceled"
    REVIEWED = "reviewed"
    EXPLAINED = "explained"
    REANALYZED = "reanalyzed"
    RETRIED = "retried"
    EXPORTED = "exported"


_READS = text(
    """
    INSERT INTO audit (id, at, principal, action, object_kind, object_id, fields, request_id)
    SELECT wanted.row_id, :at, CAST(:principal AS text), CAST(:action AS text),
        CAST(:kind AS text), wanted.object_id, '[]', CAST(:request_id AS text)
    FROM unnest(CAST(:row_ids AS uuid[]), CAST(:ids AS uuid[])) AS wanted (row_id, object_id)
    WHERE NOT EXISTS (
        SELECT 1 FROM audit
        WHERE audit.object_id = wanted.object_id AND audit.at > :since
        AND audit.principal = CAST(:principal AS text)
        AND audit.action = CAST(:action AS text) AND audit.object_kind = CAST(:kind AS text)
    )
    """
)


def note_reads(session: Session, by: Principal, kind: ObjectKind, ids: Sequence[str]) -> None:
    """Note that a caller was shown objects, unless the same was noted a short time ago."""
    if not ids:
        return
    moment = now()
    session.execute(
        _READS,
        {
            "row_ids": [new_id() for _ in ids],
            "ids": list(ids),
            "at": moment,
            "since": moment - READ_COUNTS_ONCE_IN,
            "principal": by.id,
            "action": Action.READ,
            "kind": kind,
            "request_id": _request_id(),
        },
    )


def note(
    session: Session,
    by: Principal,
    action: Action,
    kind: ObjectKind,
    object_id: str | None,
    fields: Sequence[str] = (),
) -> None:
    """Note a change, with the names of the changed fields."""
    session.add(
        Audit(
            principal=by.id,
            action=action,
            object_kind=kind,
            object_id=object_id,
            fields=sorted(fields),
            request_id=_request_id(),
        )
    )


def note_deleted_scans(session: Session, by: Principal, scan_ids: Sequence[str]) -> None:
    """Note that scans were deleted."""
    for scan_id in scan_ids:
        note(session, by, Action.DELETED, ObjectKind.SCAN, scan_id)


def _request_id() -> str | None:
    request_id: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return request_id
