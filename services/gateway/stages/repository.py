"""All SQL about stages that failed for good."""

from datetime import datetime

from sqlalchemy import tuple_
from sqlmodel import Session, col, select

from neuroscan.contracts.enums import StageState
from services.gateway.db.tables import Stage

# Where a list goes on: finished_at, scan_id, track, name.
Position = tuple[datetime, str, str, str]


def list_failed(session: Session, *, after: Position | None, limit: int) -> list[Stage]:
    """Failed stages, the latest first, beginning after `after`."""
    order = (col(Stage.finished_at), col(Stage.scan_id), col(Stage.track), col(Stage.name))
    query = select(Stage).where(Stage.state == StageState.FAILED)
    if after is not None:
        query = query.where(tuple_(*order) < after)
    return list(session.exec(query.order_by(*(column.desc() for column in order)).limit(limit)))
