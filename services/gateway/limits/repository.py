"""All SQL about what waits."""

from datetime import datetime

from sqlmodel import Session, col, select

from neuroscan.contracts.enums import StageState
from services.gateway.db.tables import OWN_TRACK, Scan, Stage


def single_waits_since(session: Session, moment: datetime) -> bool:
    """Whether a single scan's own stage has been queued since before a moment.

    Retries that are put off count from when they fall due.
    """
    query = (
        select(Stage.scan_id)
        .join(Scan, col(Scan.id) == col(Stage.scan_id))
        .where(
            Stage.state == StageState.QUEUED,
            col(Stage.available_at) < moment,
            Stage.track == OWN_TRACK,
            col(Scan.batch_id).is_(None),
        )
        .order_by(col(Stage.available_at))
        .limit(1)
    )
    return session.exec(query).first() is not None
