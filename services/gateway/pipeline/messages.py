"""Build the message of a queued stage from the ledger's rows."""

from dataclasses import dataclass
from typing import TypedDict

from sqlmodel import Session, col, select

from neuroscan.contracts.enums import CamMethod, StageName, StageState
from neuroscan.contracts.geometry import Geometry, as_sent
from neuroscan.contracts.messages import ExplainTask, MeasureTask, RecorderTask, StageTask
from neuroscan.contracts.results import ExplainResult, InferenceResult
from neuroscan.queues import stage_queue
from services.gateway.db.tables import OWN_TRACK, Explanation, Scan, Stage
from services.gateway.pipeline.keys import attempt_prefix, slice_key
from services.gateway.pipeline.ledger import Held, StageRef

Stages = dict[StageName, Stage]


@dataclass(frozen=True)
class StageMessage:
    """A stage's message and the queue that it goes to."""

    task: StageTask
    queue: str


class _Common(TypedDict):
    """What the messages of all stages have in common."""

    scan_id: str
    track: str
    attempt: int
    input_digest: str
    request_id: str
    prefix: str


def stage_message(session: Session, ref: StageRef) -> StageMessage | None:
    """The message for a stage that is queued; None when it is not any more."""
    scan = session.get(Scan, ref.scan_id)
    if scan is None:
        return None
    return _message(session, scan, _stages(session, ref), ref)


def message_of(session: Session, held: Held, ref: StageRef) -> StageMessage | None:
    """The same from rows that the transaction holds already."""
    rows = sorted(held.stages.values(), key=lambda stage: stage.track)
    return _message(session, held.scan, {StageName(row.name): row for row in rows}, ref)


def _message(session: Session, scan: Scan, stages: Stages, ref: StageRef) -> StageMessage | None:
    stage = stages.get(ref.name)
    # None: the scan was deleted between the two queries.
    if stage is None or stage.track != ref.track or stage.state != StageState.QUEUED:
        return None
    return StageMessage(
        _task(session, scan, stages, ref),
        stage_queue(ref.name, batch=in_batch(ref.name, ref.track, scan.batch_id)),
    )


def in_batch(name: StageName, track: str, batch_id: str | None) -> bool:
    """Whether a stage waits in its queue's batch twin.

    Somebody waits for further work, but nobody for a report that is made anew.
    """
    return batch_id is not None if track == OWN_TRACK else name is StageName.REPORT


def _stages(session: Session, ref: StageRef) -> Stages:
    """The track's stages; further work rests on the scan's own where it has none itself."""
    own_and_tracks = select(Stage).where(
        Stage.scan_id == ref.scan_id, col(Stage.track).in_((OWN_TRACK, ref.track))
    )
    rows = session.exec(own_and_tracks.order_by(col(Stage.track)))
    return {StageName(stage.name): stage for stage in rows}


def _task(session: Session, scan: Scan, stages: Stages, ref: StageRef) -> StageTask:
    stage = stages[ref.name]
    common: _Common = {
        "scan_id": scan.id,
        "track": ref.track,
        "attempt": stage.attempt,
        "input_digest": stage.input_digest,
        "request_id": scan.request_id,
        "prefix": attempt_prefix(scan.id, ref.name, stage.attempt, ref.track),
    }
    match ref.name:
        case StageName.EXPLAIN:
            asked = session.get(Explanation, ref.track) if ref.track else None
            return ExplainTask(
                **common,
                slice_key=slice_key(scan.id),
                label=_classification(stages).classification.label,
                method=CamMethod(asked.method) if asked and asked.method else None,
                layer=asked.layer if asked else None,
            )
        case StageName.MEASURE:
            return _measure(scan, stages, common)
        case StageName.CLASSIFY | StageName.REPORT:
            return RecorderTask(**common, stage=ref.name)


def _classification(stages: Stages) -> InferenceResult:
    return InferenceResult.model_validate(stages[StageName.CLASSIFY].output)


def _measure(scan: Scan, stages: Stages, common: _Common) -> MeasureTask:
    found = _classification(stages)
    explained = ExplainResult.model_validate(stages[StageName.EXPLAIN].output)
    return MeasureTask(
        **common,
        slice_key=slice_key(scan.id),
        mask_key=explained.objects.mask,
        region_source=explained.explanation.region_source,
        segmentation_dice=explained.explanation.segmentation_dice,
        # What an earlier measurement inferred is not stated.
        geometry=as_sent(Geometry.model_validate(scan.geometry)),
        label=found.classification.label,
        confidence=found.classification.confidence,
        calibrated=found.classification.calibrated,
        prediction_set=found.classification.prediction_set,
        input_accepted=found.input_check.accepted,
    )
