"""The audit, for administrators."""

from sqlalchemy import Engine

from neuroscan.contracts.problems import BadCursor
from services.gateway.audit import repository
from services.gateway.audit.repository import AuditFilter
from services.gateway.audit.views import AuditPage, audit_entry
from services.gateway.db.session import transaction
from services.gateway.paging import decode_cursor, encode_cursor


class AuditService:
    """The audit's rows, over the ledger."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self, filters: AuditFilter, *, cursor: str | None, limit: int) -> AuditPage:
        """One page, newest first; raises `BadCursor`."""
        facts = filters.facts()
        with transaction(self._engine) as session:
            after = repository.entry(session, decode_cursor(cursor, facts)) if cursor else None
            if cursor and after is None:
                # Retention has dropped it.
                raise BadCursor
            rows = repository.list_entries(session, filters, after=after, limit=limit + 1)
        items = [audit_entry(row) for row in rows[:limit]]
        more = len(rows) > limit
        return AuditPage(
            items=items, next_cursor=encode_cursor(items[-1].id, facts) if more else None
        )
