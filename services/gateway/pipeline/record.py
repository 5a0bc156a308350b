"""The only place that writes results and moves a scan on (docs/architecture.md, "The ledger").

Every function takes a session inside a transaction and locks the scan's row first, so that two
messages about one scan are handled one after the other.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session, select

from neuroscan.contracts.enums import ScanState, StageName, StageState
from neuroscan.contracts.messages import Failed, Finished, Started
from neuroscan.contracts.problems import Problem, StageTimedOut, Unavailable
from neuroscan.contracts.results import ExplainResult, InferenceResult
from neuroscan.contracts.spatial import MeasureResult
from neuroscan.process import code_version
from services.gateway.db.tables import STAGE_ORDER, Json, Scan, ScanEvent, Stage, now
from services.gateway.pipeline.keys import scan_prefix
from services.gateway.scans.repository import order_erasures

STATE_AFTER = {
    StageName.CLASSIFY: ScanState.CLASSIFIED,
    StageName.EXPLAIN: ScanState.EXPLAINED,
    StageName.MEASURE: ScanState.MEASURED,
    StageName.REPORT: ScanState.COMPLETED,
}
_OVER = (StageState.DONE, StageState.FAILED, StageState.CANCELED)
RETRY_WAIT = timedelta(seconds=2)
RETRY_WAIT_LONGEST = timedelta(seconds=15)


@dataclass(frozen=True)
class StageRef:
    """A stage that should be published."""

    scan_id: str
    name: StageName


@dataclass(frozen=True)
class Recorded:
    """What follows from a record: a stage to publish, objects that nobody needs.

    The objects lie below their scan's prefix, so that they go with the scan at the latest.
    """

    publish: StageRef | None = None
    discard: str | None = None


@dataclass(frozen=True)
class StageResult:
    """A stage's output, whoever made it. `digest` is that of the input it was made from."""

    scan_id: str
    stage: StageName
    output: Json
    digest: str
    prefix: str | None = None
    code_version: str = ""
    model_version: str | None = None


def classified(scan_id: str, digest: str, result: InferenceResult) -> StageResult:
    """The inference service's answer as a stage result."""
    return StageResult(
        scan_id=scan_id,
        stage=StageName.CLASSIFY,
        output=result.model_dump(mode="json"),
        digest=digest,
        code_version=code_version(),
        model_version=result.model.version,
    )


def from_message(message: Finished) -> StageResult:
    """A worker's message as a stage result."""
    result = message.result
    return StageResult(
        scan_id=message.scan_id,
        stage=message.stage,
        output=result.model_dump(mode="json"),
        digest=message.input_digest,
        prefix=message.prefix,
        code_version=message.code_version,
        model_version=result.model.version if isinstance(result, ExplainResult) else None,
    )


def input_digest(*parts: str) -> str:
    """SHA-256 over what a stage's output depends on."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def record(session: Session, result: StageResult) -> Recorded:
    """Commit the first result of a stage and queue the next stage; drop every later one."""
    scan = _lock(session, result.scan_id)
    if scan is None:
        return _of_no_scan(session, result.scan_id)
    stage = _stage(session, scan.id, result.stage)
    if stage.state in _OVER or stage.input_digest != result.digest:
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
    scan.state = STATE_AFTER[result.stage]
    if result.stage is StageName.CLASSIFY:
        scan.label = InferenceResult.model_validate(result.output).classification.label
    if result.stage is StageName.MEASURE:
        measured = MeasureResult.model_validate(result.output)
        scan.geometry = measured.geometry.model_dump(mode="json")
    _changed(session, scan, stage)
    return Recorded(publish=_queue_next(session, scan, stage))


def started(session: Session, message: Started, lease: timedelta) -> None:
    """Start the lease of a stage that a worker has begun; a late message changes nothing."""
    start(session, message.scan_id, message.stage, message.attempt, lease)


def start(
    session: Session, scan_id: str, name: StageName, attempt: int, lease: timedelta
) -> Stage | None:
    """Queued → running under a lease; None when the stage is not waiting for this attempt."""
    scan = _lock(session, scan_id)
    if scan is None:
        return None
    stage = _stage(session, scan.id, name)
    if stage.state != StageState.QUEUED or stage.attempt != attempt:
        return None
    if stage.published_at is None:
        # Queued again in the meantime and not sent since: the message is about an earlier run,
        # and under a lease for it nobody would work.
        return None
    stage.state = StageState.RUNNING
    stage.started_at = now()
    stage.lease_until = now() + lease
    _changed(session, scan, stage)
    return stage


def failed(session: Session, message: Failed, attempts_max: int) -> Recorded:
    """Note a failed attempt; its objects are not needed."""
    known = attempt_failed(
        session, message.scan_id, message.stage, message.attempt, message.problem, attempts_max
    )
    return Recorded(discard=message.prefix) if known else _of_no_scan(session, message.scan_id)


def attempt_failed(
    session: Session,
    scan_id: str,
    name: StageName,
    attempt: int,
    problem: Problem,
    attempts_max: int,
) -> bool:
    """Take a stage back whose attempt failed. False when the scan is gone.

    A part of the system that did not answer spends no attempt; anything else does.
    """
    scan = _lock(session, scan_id)
    if scan is None:
        return False
    stage = _stage(session, scan.id, name)
    if stage.state not in _OVER and stage.attempt == attempt:
        if problem.code == Unavailable.code:
            _wait_and_retry(session, scan, stage)
        else:
            _spend_attempt(session, scan, stage, problem, attempts_max)
    return True


def lease_ran_out(session: Session, scan_id: str, name: StageName, attempts_max: int) -> None:
    """Take a stage back from a worker that did not report in time.

    The first time it is put down to the worker, which may have been killed, or to the broker,
    which may have lost its report; from then on to the scan: that spends an attempt.
    """
    scan = _lock(session, scan_id)
    if scan is None:
        return
    stage = _stage(session, scan.id, name)
    over_time = stage.lease_until is not None and stage.lease_until < now()
    if stage.state != StageState.RUNNING or not over_time:
        return
    problem = StageTimedOut().problem()
    if stage.problem is None:
        stage.problem = problem.model_dump(mode="json")
        queue_stage(stage)
        _changed(session, scan, stage)
    else:
        _spend_attempt(session, scan, stage, problem, attempts_max)


def cancel(session: Session, scan_id: str) -> Scan | None:
    """Stop a scan that still runs; rows and objects stay. None when there is no such scan."""
    scan = _lock(session, scan_id)
    if scan is None or ScanState(scan.state).final:
        return scan
    scan.state = ScanState.CANCELED
    _cancel_rest(session, scan)
    _changed(session, scan, None)
    return scan


def touch(session: Session, scan_id: str) -> Scan | None:
    """Note a change that no stage made, such as a review; None when there is no such scan."""
    scan = _lock(session, scan_id)
    if scan is not None:
        _changed(session, scan, None)
    return scan


def queue_stage(stage: Stage) -> None:
    """Make a stage wait for a worker from now on."""
    stage.state = StageState.QUEUED
    stage.available_at = now()
    stage.published_at = None
    stage.lease_until = None


def _of_no_scan(session: Session, scan_id: str) -> Recorded:
    """The scan was deleted: what a worker wrote since goes too, by order if not at once."""
    order_erasures(session, [scan_id])
    return Recorded(discard=scan_prefix(scan_id))


def _queue_next(session: Session, scan: Scan, done: Stage) -> StageRef | None:
    index = STAGE_ORDER.index(StageName(done.name)) + 1
    if index == len(STAGE_ORDER):
        return None
    following = _stage(session, scan.id, STAGE_ORDER[index])
    following.input_digest = input_digest(scan.sha256, done.input_digest, done.model_version or "")
    queue_stage(following)
    session.add(following)
    return StageRef(scan.id, STAGE_ORDER[index])


def _wait_and_retry(session: Session, scan: Scan, stage: Stage) -> None:
    queue_stage(stage)
    # The longer a part has been away, the less often it is tried.
    wait = (now() - scan.created_at) / 10
    stage.available_at = now() + min(max(wait, RETRY_WAIT), RETRY_WAIT_LONGEST)
    _changed(session, scan, stage)


def _spend_attempt(
    session: Session, scan: Scan, stage: Stage, problem: Problem, attempts_max: int
) -> None:
    stage.problem = problem.model_dump(mode="json")
    if stage.attempt >= attempts_max:
        stage.state = StageState.FAILED
        stage.lease_until = None
        stage.finished_at = now()
        scan.state = ScanState.FAILED
        _cancel_rest(session, scan)
    else:
        queue_stage(stage)
        stage.available_at = now() + RETRY_WAIT * (stage.attempt - 1)
        stage.attempt += 1
    _changed(session, scan, stage)


def _cancel_rest(session: Session, scan: Scan) -> None:
    for stage in session.exec(select(Stage).where(Stage.scan_id == scan.id)):
        if stage.state not in _OVER:
            stage.state = StageState.CANCELED
            stage.lease_until = None
            session.add(stage)


def _lock(session: Session, scan_id: str) -> Scan | None:
    return session.exec(select(Scan).where(Scan.id == scan_id).with_for_update()).one_or_none()


def _stage(session: Session, scan_id: str, name: StageName) -> Stage:
    return session.exec(select(Stage).where(Stage.scan_id == scan_id, Stage.name == name)).one()


def _changed(session: Session, scan: Scan, stage: Stage | None) -> None:
    scan.version += 1
    scan.updated_at = now()
    session.add(scan)
    if stage is not None:
        session.add(stage)
    session.add(
        ScanEvent(
            scan_id=scan.id,
            version=scan.version,
            state=scan.state,
            stage=stage.name if stage else None,
            stage_state=stage.state if stage else None,
        )
    )
