"""Reports made anew, because what they print of patient or reader has changed.

The scan stays as it is, and its report the old one, until the new one has taken its place. The work
is the stage `report` on a track of its own, named by the scan's id; it waits in its queue's batch
twin, since nobody waits for it.
"""

from collections.abc import Sequence

from sqlmodel import Session, col, select

from neuroscan.contracts.enums import StageName, StageState
from services.gateway.db.tables import OWN_TRACK, Scan, Stage
from services.gateway.pipeline import ledger

REPORT = StageName.REPORT
_AT_ONCE = 500


def renew_reports(session: Session, scan_ids: Sequence[str]) -> None:
    """Have new versions of scans' reports made; the sweeper sends the stages within seconds.

    A report that is being made is begun again, as it may hold what was before; one that still waits
    will print what is now anyway. Scans without a report, and such as are gone, are left alone.
    """
    # Always in the same order, so that two who lock many scans don't wait for each other.
    ordered = sorted(scan_ids)
    for start in range(0, len(ordered), _AT_ONCE):
        _renew(session, ordered[start : start + _AT_ONCE])


def _renew(session: Session, scan_ids: list[str]) -> None:
    scans = session.exec(
        select(Scan)
        .where(col(Scan.id).in_(scan_ids))
        .order_by(col(Scan.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    stages = select(Stage).where(col(Stage.scan_id).in_(scan_ids), Stage.name == REPORT)
    reports = {(stage.scan_id, stage.track): stage for stage in session.exec(stages)}
    for scan in scans:
        own, renewed = reports[scan.id, OWN_TRACK], reports.get((scan.id, scan.id))
        stage = _to_begin(own, renewed)
        if stage is None:
            continue
        stage.attempt = 1
        stage.problem = stage.started_at = stage.finished_at = None
        # Whoever is at work on it has another digest, so that his result is not taken.
        stage.input_digest = ledger.input_digest(own.input_digest, str(scan.version))
        ledger.queue_stage(stage)
        ledger.changed(session, scan, stage)


def _to_begin(own: Stage, renewed: Stage | None) -> Stage | None:
    """The stage that has to be done (again); None when there is none, or it waits anyway."""
    if own.state == StageState.RUNNING:
        return own
    if own.state != StageState.DONE:
        return None
    stage = renewed or Stage(scan_id=own.scan_id, track=own.scan_id, name=REPORT)
    return None if stage.state == StageState.QUEUED else stage
