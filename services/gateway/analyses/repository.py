"""All SQL about further analyses."""

from sqlmodel import Session, col, select

from services.gateway.db.tables import Analysis, Stage


def list_analyses(
    session: Session, scan_id: str, *, after_id: str | None, limit: int
) -> list[Analysis]:
    """A scan's analyses, newest first (ids sort by time), beginning after `after_id`."""
    query = select(Analysis).where(Analysis.scan_id == scan_id)
    if after_id is not None:
        query = query.where(col(Analysis.id) < after_id)
    return list(session.exec(query.order_by(col(Analysis.id).desc()).limit(limit)))


def stages_on(session: Session, scan_id: str, tracks: list[str]) -> dict[str, list[Stage]]:
    """The stages of several of a scan's tracks, in one query."""
    stages: dict[str, list[Stage]] = {track: [] for track in tracks}
    query = select(Stage).where(Stage.scan_id == scan_id, col(Stage.track).in_(tracks))
    for stage in session.exec(query):
        stages[stage.track].append(stage)
    return stages
