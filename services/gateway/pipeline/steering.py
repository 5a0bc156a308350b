"""What people ask of a scan: to stop, to do further work on it, to try again, to note a review."""

from collections.abc import Sequence

from sqlmodel import Session

from neuroscan.contracts.enums import ScanState, StageName, StageState
from services.gateway.db.tables import STAGE_ORDER, Scan, Stage
from services.gateway.pipeline.ledger import (
    StageRef,
    cancel_rest,
    changed,
    lock,
    queue_stage,
    stages_of,
)
from services.gateway.pipeline.record import STATE_AFTER


def cancel(session: Session, scan_id: str) -> Scan | None:
    """Stop a scan that still runs, with all work on it; rows and objects stay.

    One that is over stays as it is, and further work on it goes on. None when there is no such
    scan.
    """
    scan = lock(session, scan_id)
    if scan is None or ScanState(scan.state).final:
        return scan
    cancel_rest(session, scan_id)
    changed(session, scan, None, state=ScanState.CANCELED)
    return scan


def open_track(
    session: Session, scan_id: str, track: str, names: Sequence[StageName], digest: str
) -> StageRef | None:
    """Begin further work on a scan: the first stage is queued, the others wait.

    `digest` is that of the first stage's input. None when there is no such scan.
    """
    scan = lock(session, scan_id)
    if scan is None:
        return None
    first, *others = [Stage(scan_id=scan_id, track=track, name=name) for name in names]
    first.input_digest = digest
    queue_stage(first)
    session.add_all(others)
    changed(session, scan, first)
    return StageRef(scan_id, names[0], track)


def retry(session: Session, scan_id: str, track: str | None = None) -> list[StageRef]:
    """Queue failed stages again with a first attempt, on one track or on all; says which.

    Those after them wait again, and the scan's state goes back to what it had reached.
    """
    scan = lock(session, scan_id)
    if scan is None:
        return []
    again = []
    for failed in stages_of(session, scan_id, track):
        if failed.state != StageState.FAILED:
            continue
        for later in stages_of(session, scan_id, failed.track):
            if later.state == StageState.CANCELED:
                later.state = StageState.WAITING
                session.add(later)
        failed.attempt = 1
        failed.problem = failed.started_at = failed.finished_at = None
        queue_stage(failed)
        ref = StageRef(scan_id, StageName(failed.name), failed.track)
        changed(session, scan, failed, state=None if failed.track else _state_before(ref.name))
        again.append(ref)
    return again


def touch(session: Session, scan_id: str) -> Scan | None:
    """Note a change that no stage made, such as a review; None when there is no such scan."""
    scan = lock(session, scan_id)
    if scan is not None:
        changed(session, scan, None)
    return scan


def _state_before(name: StageName) -> ScanState:
    index = STAGE_ORDER.index(name)
    return STATE_AFTER[STAGE_ORDER[index - 1]] if index else ScanState.RECEIVED
