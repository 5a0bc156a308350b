"""All SQL about further explanations."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from neuroscan.contracts.enums import StageName
from services.gateway.db.tables import OWN_TRACK, Analysis, Explanation, Scan, Stage


@dataclass(frozen=True)
class Explained:
    """An explanation's stage, and what was asked for; `id` is None while there is none.

    The scan's own explanation has the id that its worker gave it, any other that of its track.
    """

    id: str | None
    scan_id: str
    stage: Stage
    created_at: datetime
    method: str | None = None
    layer: str | None = None


def own(session: Session, scan: Scan) -> Explained:
    """The explanation that the scan came with."""
    stage = session.get_one(Stage, (scan.id, OWN_TRACK, StageName.EXPLAIN))
    made = stage.output["explanation"]["id"] if stage.output else None
    return Explained(made, scan.id, stage, scan.created_at)


def find(session: Session, scan: Scan, explanation_id: str) -> Explained | None:
    """An explanation of the scan by its id: its own, a further one, or an analysis's."""
    first = own(session, scan)
    if first.id == explanation_id:
        return first
    asked = session.get(Explanation, explanation_id)
    track = asked or session.get(Analysis, explanation_id)
    if track is None or track.scan_id != scan.id:
        return None
    stage = session.get_one(Stage, (scan.id, track.id, StageName.EXPLAIN))
    return _asked(asked, stage) if asked else Explained(track.id, scan.id, stage, track.created_at)


def list_asked(
    session: Session, scan_id: str, *, after_id: str | None, limit: int
) -> list[Explained]:
    """Those that were asked for, newest first (ids sort by time), beginning after `after_id`."""
    query = select(Explanation).where(Explanation.scan_id == scan_id)
    if after_id is not None:
        query = query.where(col(Explanation.id) < after_id)
    rows = session.exec(query.order_by(col(Explanation.id).desc()).limit(limit)).all()
    on_tracks = select(Stage).where(
        Stage.scan_id == scan_id, col(Stage.track).in_([asked.id for asked in rows])
    )
    stages = {stage.track: stage for stage in session.exec(on_tracks)}
    return [_asked(asked, stages[asked.id]) for asked in rows]


def _asked(asked: Explanation, stage: Stage) -> Explained:
    return Explained(
        asked.id, asked.scan_id, stage, asked.created_at, method=asked.method, layer=asked.layer
    )
