"""The audit as the API shows it: ids and names of fields; no values, no person's name."""

from datetime import datetime

from neuroscan.contracts.base import Contract
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.db.tables import Audit


class AuditEntry(Contract):
    """Who did what to which object. Repeated reads within ten minutes are one entry."""

    id: str
    at: datetime
    principal: str
    action: Action
    object_kind: ObjectKind
    object_id: str | None
    fields: list[str]
    request_id: str | None


class AuditPage(Contract):
    """One page of the audit, newest first."""

    items: list[AuditEntry]
    next_cursor: str | None


def audit_entry(row: Audit) -> AuditEntry:
    """The entry as stored."""
    return AuditEntry(
        id=row.id,
        at=row.at,
        principal=row.principal,
        action=Action(row.action),
        object_kind=ObjectKind(row.object_kind),
        object_id=row.object_id,
        fields=row.fields,
        request_id=row.request_id,
    )
