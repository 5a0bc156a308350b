"""What becomes of a stage: the only place that writes results and moves a scan on by them.

Of a stage's attempts one result counts, the first; later ones are dropped. Only a report that was
made anew (`renewal`) takes the place of the scan's own.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from sqlmodel import Session

from neuroscan.contracts.enums import ScanState, StageName, StageState
from neuroscan.contracts.messages import Failed, Finished, RecorderTask, Started
from neuroscan.contracts.problems import Problem, StageTimedOut, Unavailable
from neuroscan.contracts.results import InferenceResult
from neuroscan.contracts.spatial import MeasureResult
from services.gateway.db.tables import OWN_TRACK, STAGE_ORDER, Json, Scan, Stage, now
from services.gateway.pipeline import metrics
from services.gateway.pipeline.keys import scan_prefix
from services.gateway.pipeline.ledger import (
    OVER,
    Held,
    StageRef,
    cancel_rest,
    changed,
    hold,
    input_digest,
    lock,
    queue_stage,
    stage_of,
)
from services.gateway.scans.repository import order_erasures

STATE_AFTER = {
    StageName.CLASSIFY: ScanState.CLASSIFIED,
    StageName.EXPLAIN: ScanState.EXPLAINED,
    StageName.MEASURE: ScanState.MEASURED,
    StageName.REPORT: ScanState.COMPLETED,
}
RETRY_WAIT = timedelta(seconds=2)
RETRY_WAIT_LONGEST = timedelta(seconds=15)


@dataclass(frozen=True)
class Recorded:
    """What follows from a record: a stage to publish, objects that nobody needs.

    The objects lie below their scan's prefix, so that they go with the scan at the latest. `held`
    is what a message for the stage is made of, as long as the transaction lasts.
    """

    publish: StageRef | None = None
    discard: str | None = None
    held: Held | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class StageResult:
    """A stage's output, whoever made it. `digest` is that of the input it was made from."""

    ref: StageRef
    output: Json
    digest: str
    prefix: str | None = None
    code_version: str = ""
    model_version: str | None = None


def ref_of(message: Started | Finished | Failed | RecorderTask) -> StageRef:
    """The stage that a message is about."""
    return StageRef(message.scan_id, message.stage, message.track)


def record(session: Session, result: StageResult) -> Recorded:
    """Commit the first result of a stage and queue the next stage; drop every later one."""
    # The message of the stage after `explain` holds what the two before it found.
    held = hold(session, result.ref, outputs=result.ref.name is StageName.EXPLAIN)
    if held is None:
        return _of_no_scan(session, result.ref.scan_id)
    scan, stage = held.scan, held.stage(result.ref)
    if stage.state in OVER or stage.input_digest != result.digest:
        metrics.stage_ended(session, stage, "late")
        unused = result.prefix if result.prefix != stage.prefix else None
        return Recorded(discard=unused)
    stage.state = StageState.DONE
    stage.output = result.output
    stage.prefix = result.prefix
    stage.code_version = result.code_version
    stage.model_version = result.model_version
    stage.started_at = stage.started_at or now()
    stage.finished_at = now()
    stage.lease_until = None
    stage.problem = None
    metrics.stage_done(session, stage)
    discard = None
    if stage.track == OWN_TRACK:
        _note_on_scan(scan, result)
        changed(session, scan, stage, state=STATE_AFTER[result.ref.name], heard=held.heard)
    else:
        if result.ref.name is StageName.REPORT:
            discard = _replace_report(held, stage)
        changed(session, scan, stage)
    return Recorded(publish=_queue_next(held, stage), discard=discard, held=held)


def started(session: Session, message: Started, lease: timedelta) -> None:
    """Start the lease of a stage that a worker has begun; a late message changes nothing."""
    start(session, ref_of(message), message.attempt, lease)


def start(session: Session, ref: StageRef, attempt: int, lease: timedelta) -> Stage | None:
    """Queued → running under a lease; None when the stage is not waiting for this attempt."""
    held = hold(session, ref)
    if held is None:
        return None
    stage = held.stage(ref)
    if stage.state != StageState.QUEUED or stage.attempt != attempt:
        return None
    if stage.published_at is None:
        # Queued again in the meantime and not sent since: the message is about an earlier run,
        # and under a lease for it nobody would work.
        return None
    stage.state = StageState.RUNNING
    stage.started_at = now()
    stage.lease_until = now() + lease
    metrics.stage_started(session, held.scan, stage)
    changed(session, held.scan, stage)
    return stage


def failed(session: Session, message: Failed, attempts_max: int) -> Recorded:
    """Note a failed attempt; its objects are not needed."""
    ref = ref_of(message)
    known = attempt_failed(session, ref, message.attempt, message.problem, attempts_max)
    return Recorded(discard=message.prefix) if known else _of_no_scan(session, message.scan_id)


def attempt_failed(
    session: Session, ref: StageRef, attempt: int, problem: Problem, attempts_max: int
) -> bool:
    """Take a stage back whose attempt failed. False when the scan is gone.

    A part of the system that did not answer spends no attempt. One that ended over the stage is
    treated as a worker whose lease ran out. Anything else spends one.
    """
    held = hold(session, ref)
    if held is None:
        return False
    scan, stage = held.scan, held.stage(ref)
    if stage.state not in OVER and stage.attempt == attempt:
        if problem.code == Unavailable.code:
            metrics.stage_ended(session, stage, "put_back", problem.code)
            _wait_and_retry(session, scan, stage)
        elif problem.code == StageTimedOut.code:
            _lost(session, scan, stage, problem, attempts_max)
        else:
            _spend_attempt(session, scan, stage, problem, attempts_max)
    return True


def lease_ran_out(session: Session, ref: StageRef, attempts_max: int) -> None:
    """Take a stage back from a worker that did not report in time."""
    scan = lock(session, ref.scan_id)
    if scan is None:
        return
    stage = stage_of(session, ref)
    over_time = stage.lease_until is not None and stage.lease_until < now()
    if stage.state != StageState.RUNNING or not over_time:
        return
    _lost(session, scan, stage, StageTimedOut().problem(), attempts_max)


def _of_no_scan(session: Session, scan_id: str) -> Recorded:
    """The scan was deleted: what a worker wrote since goes too, by order if not at once."""
    order_erasures(session, [scan_id])
    return Recorded(discard=scan_prefix(scan_id))


def _note_on_scan(scan: Scan, result: StageResult) -> None:
    """What lists filter by, and what the picture is now known to show."""
    if result.ref.name is StageName.CLASSIFY:
        scan.label = InferenceResult.model_validate(result.output).classification.label
    if result.ref.name is StageName.MEASURE:
        measured = MeasureResult.model_validate(result.output)
        scan.geometry = measured.geometry.model_dump(mode="json")


def _replace_report(held: Held, renewed: Stage) -> str | None:
    """Put a report that was made anew in the place of the scan's; says where the old one lies."""
    own = held.stage(StageRef(renewed.scan_id, StageName.REPORT))
    old = own.prefix
    own.output = renewed.output
    own.prefix = renewed.prefix
    own.code_version = renewed.code_version
    return old if old != renewed.prefix else None


def _queue_next(held: Held, done: Stage) -> StageRef | None:
    """Queue the stage after this one, if the track has one."""
    scan = held.scan
    later = STAGE_ORDER[STAGE_ORDER.index(StageName(done.name)) + 1 :]
    following = held.stages.get((done.track, later[0])) if later else None
    if following is None:
        return None
    following.input_digest = input_digest(scan.sha256, done.input_digest, done.model_version or "")
    queue_stage(following)
    return StageRef(scan.id, later[0], done.track)


def _wait_and_retry(session: Session, scan: Scan, stage: Stage) -> None:
    queue_stage(stage)
    # The longer a part has been away, the less often it is tried.
    wait = (now() - scan.created_at) / 10
    stage.available_at = now() + min(max(wait, RETRY_WAIT), RETRY_WAIT_LONGEST)
    changed(session, scan, stage)


def _lost(session: Session, scan: Scan, stage: Stage, problem: Problem, attempts_max: int) -> None:
    """Take a stage back that its worker was lost over.

    The first time it is put down to the worker, which may have been killed, or to the broker,
    which may have lost its report; from then on to the scan: that spends an attempt.
    """
    if stage.problem is not None and stage.problem["code"] == problem.code:
        _spend_attempt(session, scan, stage, problem, attempts_max)
        return
    stage.problem = problem.model_dump(mode="json")
    metrics.stage_ended(session, stage, "put_back", problem.code)
    queue_stage(stage)
    changed(session, scan, stage)


def _spend_attempt(
    session: Session, scan: Scan, stage: Stage, problem: Problem, attempts_max: int
) -> None:
    stage.problem = problem.model_dump(mode="json")
    state = None
    if stage.attempt >= attempts_max:
        stage.state = StageState.FAILED
        stage.lease_until = None
        stage.finished_at = now()
        metrics.stage_failed(session, stage, problem.code)
        state = ScanState.FAILED if stage.track == OWN_TRACK else None
        cancel_rest(session, scan.id, stage.track)
    else:
        metrics.stage_ended(session, stage, "retried", problem.code)
        queue_stage(stage)
        stage.available_at = now() + RETRY_WAIT * (stage.attempt - 1)
        stage.attempt += 1
    changed(session, scan, stage, state=state)
