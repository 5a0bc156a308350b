"""Read the audit."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Uuid, literal, tuple_
from sqlmodel import Session, col, select

from services.gateway.db.tables import Audit


@dataclass(frozen=True)
class AuditFilter:
    """What the audit is narrowed to; `since` is in, `until` is out."""

    principal: str | None = None
    action: str | None = None
    object_kind: str | None = None
    object_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def facts(self) -> dict[str, str | None]:
        """The filter as text, to bind a cursor to it."""
        return {
            "list": "audit",
            "principal": self.principal,
            "action": self.action,
            "object_kind": self.object_kind,
            "object_id": self.object_id,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
        }


def list_entries(
    session: Session, filters: AuditFilter, *, after: Audit | None, limit: int
) -> list[Audit]:
    """Newest first, beginning after `after`."""
    query = select(Audit).order_by(col(Audit.at).desc(), col(Audit.id).desc()).limit(limit)
    for column in ("principal", "action", "object_kind", "object_id"):
        wanted = getattr(filters, column)
        if wanted is not None:
            query = query.where(getattr(Audit, column) == wanted)
    if filters.since is not None:
        query = query.where(col(Audit.at) >= filters.since)
    if filters.until is not None:
        query = query.where(col(Audit.at) < filters.until)
    if after is not None:
        place = tuple_(literal(after.at), literal(after.id, type_=Uuid(as_uuid=False)))
        # The first condition alone tells Postgres which partitions it need not open.
        query = query.where(col(Audit.at) <= after.at)
        query = query.where(tuple_(col(Audit.at), col(Audit.id)) < place)
    return list(session.exec(query))


def entry(session: Session, entry_id: str) -> Audit | None:
    """One entry; None when there is none, or when retention has dropped it."""
    return session.exec(select(Audit).where(Audit.id == entry_id)).one_or_none()
