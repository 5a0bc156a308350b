"""The only place that writes results and moves a scan on (docs/architecture.md, "The ledger").

Every function takes a session inside a transaction and locks the scan's row first, so that two
messages about one scan are handled one after the other. What happens on the track of further work
(a stage's `track`) gives the scan a new version, and changes nothing else of it; only a report that
was made anew (`renewal`) takes the place of the scan's own.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

from sqlalchemy import insert
from sqlalchemy.orm import QueryableAttribute, defer, undefer
from sqlmodel import Session, col, select

from neuroscan.contracts.enums import ScanState, StageName, StageState
from neuroscan.contracts.messages import Failed, Finished, RecorderTask, Started
from neuroscan.contracts.problems import Problem, StageTimedOut, Unavailable
from neuroscan.contracts.results import InferenceResult
from neuroscan.contracts.spatial import MeasureResult
from services.gateway.db.session import at_end
from services.gateway.db.tables import (
    OWN_TRACK,
    STAGE_ORDER,
    Json,
    Scan,
    ScanEvent,
    Stage,
    Webhook,
    now,
)
from services.gateway.pipeline import metrics
from services.gateway.pipeline.keys import scan_prefix
from services.gateway.scans.repository import order_erasures
from services.gateway.webhooks import outbox

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
    """A stage of a scan: one of its own four, or one on the track of further work."""

    scan_id: str
    name: StageName
    track: str = OWN_TRACK


@dataclass(frozen=True)
class Held:
    """A scan whose row is locked, with the stages of its own track and of another.

    `heard` is False when there is no webhook at all.
    """

    scan: Scan
    stages: dict[tuple[str, str], Stage]
    heard: bool

    def stage(self, ref: StageRef) -> Stage:
        """The stage that is meant; `KeyError` when there is none."""
        return self.stages[ref.track, ref.name]


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


def input_digest(*parts: str) -> str:
    """SHA-256 over what a stage's output depends on."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def record(session: Session, result: StageResult) -> Recorded:
    """Commit the first result of a stage and queue the next stage; drop every later one."""
    # The message of the stage after `explain` holds what the two before it found.
    held = _hold(session, result.ref, outputs=result.ref.name is StageName.EXPLAIN)
    if held is None:
        return _of_no_scan(session, result.ref.scan_id)
    scan, stage = held.scan, held.stage(result.ref)
    if stage.state in _OVER or stage.input_digest != result.digest:
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
        _changed(session, scan, stage, state=STATE_AFTER[result.ref.name], heard=held.heard)
    else:
        if result.ref.name is StageName.REPORT:
            discard = _replace_report(held, stage)
        _changed(session, scan, stage)
    return Recorded(publish=_queue_next(held, stage), discard=discard, held=held)


def started(session: Session, message: Started, lease: timedelta) -> None:
    """Start the lease of a stage that a worker has begun; a late message changes nothing."""
    start(session, ref_of(message), message.attempt, lease)


def start(session: Session, ref: StageRef, attempt: int, lease: timedelta) -> Stage | None:
    """Queued → running under a lease; None when the stage is not waiting for this attempt."""
    held = _hold(session, ref)
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
    _changed(session, held.scan, stage)
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

    A part of the system that did not answer spends no attempt; anything else does.
    """
    held = _hold(session, ref)
    if held is None:
        return False
    scan, stage = held.scan, held.stage(ref)
    if stage.state not in _OVER and stage.attempt == attempt:
        if problem.code == Unavailable.code:
            metrics.stage_ended(session, stage, "put_back", problem.code)
            _wait_and_retry(session, scan, stage)
        else:
            _spend_attempt(session, scan, stage, problem, attempts_max)
    return True


def lease_ran_out(session: Session, ref: StageRef, attempts_max: int) -> None:
    """Take a stage back from a worker that did not report in time.

    The first time it is put down to the worker, which may have been killed, or to the broker,
    which may have lost its report; from then on to the scan: that spends an attempt.
    """
    scan = _lock(session, ref.scan_id)
    if scan is None:
        return
    stage = _stage(session, ref)
    over_time = stage.lease_until is not None and stage.lease_until < now()
    if stage.state != StageState.RUNNING or not over_time:
        return
    problem = StageTimedOut().problem()
    if stage.problem is None:
        stage.problem = problem.model_dump(mode="json")
        metrics.stage_ended(session, stage, "put_back", problem.code)
        queue_stage(stage)
        _changed(session, scan, stage)
    else:
        _spend_attempt(session, scan, stage, problem, attempts_max)


def cancel(session: Session, scan_id: str) -> Scan | None:
    """Stop a scan that still runs, with all work on it; rows and objects stay.

    One that is over stays as it is, and further work on it goes on. None when there is no such
    scan.
    """
    scan = _lock(session, scan_id)
    if scan is None or ScanState(scan.state).final:
        return scan
    _cancel_rest(session, scan_id)
    _changed(session, scan, None, state=ScanState.CANCELED)
    return scan


def open_track(
    session: Session, scan_id: str, track: str, names: Sequence[StageName], digest: str
) -> StageRef | None:
    """Begin further work on a scan: the first stage is queued, the others wait.

    `digest` is that of the first stage's input. None when there is no such scan.
    """
    scan = _lock(session, scan_id)
    if scan is None:
        return None
    first, *others = [Stage(scan_id=scan_id, track=track, name=name) for name in names]
    first.input_digest = digest
    queue_stage(first)
    session.add_all(others)
    _changed(session, scan, first)
    return StageRef(scan_id, names[0], track)


def retry(session: Session, scan_id: str, track: str | None = None) -> list[StageRef]:
    """Queue failed stages again with a first attempt, on one track or on all; says which.

    Those after them wait again, and the scan's state goes back to what it had reached.
    """
    scan = _lock(session, scan_id)
    if scan is None:
        return []
    again = []
    for failed in _stages(session, scan_id, track):
        if failed.state != StageState.FAILED:
            continue
        for later in _stages(session, scan_id, failed.track):
            if later.state == StageState.CANCELED:
                later.state = StageState.WAITING
                session.add(later)
        failed.attempt = 1
        failed.problem = failed.started_at = failed.finished_at = None
        queue_stage(failed)
        ref = StageRef(scan_id, StageName(failed.name), failed.track)
        _changed(session, scan, failed, state=None if failed.track else _state_before(ref.name))
        again.append(ref)
    return again


def touch(session: Session, scan_id: str) -> Scan | None:
    """Note a change that no stage made, such as a review; None when there is no such scan."""
    scan = _lock(session, scan_id)
    if scan is not None:
        _changed(session, scan, None)
    return scan


def change(session: Session, scan: Scan, stage: Stage) -> None:
    """Note that a stage of a scan, whose row is locked, was changed: a new version and an event."""
    _changed(session, scan, stage)


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
    _changed(session, scan, stage)


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
        _cancel_rest(session, scan.id, stage.track)
    else:
        metrics.stage_ended(session, stage, "retried", problem.code)
        queue_stage(stage)
        stage.available_at = now() + RETRY_WAIT * (stage.attempt - 1)
        stage.attempt += 1
    _changed(session, scan, stage, state=state)


def _cancel_rest(session: Session, scan_id: str, track: str | None = None) -> None:
    """Cancel what is not over yet, on one track or on all."""
    for stage in _stages(session, scan_id, track):
        if stage.state not in _OVER:
            stage.state = StageState.CANCELED
            stage.lease_until = None
            session.add(stage)


def _lock(session: Session, scan_id: str) -> Scan | None:
    """The scan's row as it is now, locked until the transaction ends; None when there is none."""
    return session.get(Scan, scan_id, with_for_update=True)


def _hold(session: Session, ref: StageRef, *, outputs: bool = False) -> Held | None:
    """As `_lock`, with the stages of the scan's own track and the ref's, in one query.

    The stages are locked too: what a query finds beside a row that it had to wait for is otherwise
    as it was before the wait. Their outputs are read only if asked for, or when they are used. None
    when there is no scan.
    """
    output = cast("QueryableAttribute[Json | None]", Stage.output)
    rows = session.execute(
        select(Scan, Stage, select(Webhook.id).exists())
        .join(Stage, col(Stage.scan_id) == col(Scan.id))
        .where(Scan.id == ref.scan_id, col(Stage.track).in_((OWN_TRACK, ref.track)))
        .options(undefer(output) if outputs else defer(output))
        .with_for_update(of=(Scan, Stage))
        .execution_options(populate_existing=True)
    ).all()
    if not rows:
        return None
    stages = {(stage.track, stage.name): stage for _, stage, _ in rows}
    scan, _, heard = rows[0]
    return Held(scan, stages, heard)


def _stage(session: Session, ref: StageRef) -> Stage:
    return session.get_one(Stage, (ref.scan_id, ref.track, ref.name))


def _stages(session: Session, scan_id: str, track: str | None) -> Sequence[Stage]:
    stages = select(Stage).where(Stage.scan_id == scan_id)
    if track is not None:
        stages = stages.where(Stage.track == track)
    return session.exec(stages).all()


def _state_before(name: StageName) -> ScanState:
    index = STAGE_ORDER.index(name)
    return STATE_AFTER[STAGE_ORDER[index - 1]] if index else ScanState.RECEIVED


def _changed(
    session: Session,
    scan: Scan,
    stage: Stage | None,
    *,
    state: ScanState | None = None,
    heard: bool = True,
) -> None:
    """Give the scan a new version, and a new state if there is one, and say so in an event.

    Nobody is told of it when it is known that nobody has `heard`.
    """
    if state is not None:
        scan.state = state
    scan.version += 1
    scan.updated_at = now()
    session.add(scan)
    if stage is not None:
        session.add(stage)
    if state is not None:
        if heard:
            outbox.enqueue(session, scan)
        if state.final:
            metrics.scan_came_to(session, scan, state)
    note_event(session, scan, stage)


def note_event(session: Session, scan: Scan, stage: Stage | None = None) -> None:
    """Write a scan's present version down as an event; its sequence is drawn under the lock."""
    event = insert(ScanEvent.__table__).values(  # type: ignore[attr-defined]
        scan_id=scan.id,
        at=now(),
        version=scan.version,
        state=scan.state,
        track=stage.track if stage else OWN_TRACK,
        stage=stage.name if stage else None,
        stage_state=stage.state if stage else None,
    )
    at_end(session, event.inline())
