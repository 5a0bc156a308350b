"""Build the message of a queued stage from the ledger's rows."""

from sqlmodel import Session, select

from neuroscan.contracts.enums import StageName, StageState
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.messages import ExplainTask, MeasureTask, RecorderTask, StageTask
from neuroscan.contracts.results import ExplainResult, InferenceResult
from services.gateway.db.tables import Scan, Stage
from services.gateway.pipeline.keys import attempt_prefix, slice_key
from services.gateway.pipeline.record import StageRef


def stage_message(session: Session, ref: StageRef) -> StageTask | None:
    """The message for a stage that is queued; None when it is not any more."""
    scan = session.get(Scan, ref.scan_id)
    if scan is None:
        return None
    rows = session.exec(select(Stage).where(Stage.scan_id == ref.scan_id)).all()
    stages = {StageName(stage.name): stage for stage in rows}
    stage = stages.get(ref.name)
    # None: the scan was deleted between the two queries.
    if stage is None or stage.state != StageState.QUEUED:
        return None
    match ref.name:
        case StageName.EXPLAIN:
            return _explain(scan, stage, _classification(stages))
        case StageName.MEASURE:
            return _measure(scan, stage, stages)
        case StageName.CLASSIFY | StageName.REPORT:
            return RecorderTask(
                scan_id=scan.id,
                attempt=stage.attempt,
                input_digest=stage.input_digest,
                request_id=scan.request_id,
                prefix=attempt_prefix(scan.id, ref.name, stage.attempt),
                stage=ref.name,
            )


def _classification(stages: dict[StageName, Stage]) -> InferenceResult:
    return InferenceResult.model_validate(stages[StageName.CLASSIFY].output)


def _explain(scan: Scan, stage: Stage, found: InferenceResult) -> ExplainTask:
    return ExplainTask(
        scan_id=scan.id,
        attempt=stage.attempt,
        input_digest=stage.input_digest,
        request_id=scan.request_id,
        prefix=attempt_prefix(scan.id, StageName.EXPLAIN, stage.attempt),
        slice_key=slice_key(scan.id),
        label=found.classification.label,
    )


def _measure(scan: Scan, stage: Stage, stages: dict[StageName, Stage]) -> MeasureTask:
    found = _classification(stages)
    explained = ExplainResult.model_validate(stages[StageName.EXPLAIN].output)
    return MeasureTask(
        scan_id=scan.id,
        attempt=stage.attempt,
        input_digest=stage.input_digest,
        request_id=scan.request_id,
        prefix=attempt_prefix(scan.id, StageName.MEASURE, stage.attempt),
        slice_key=slice_key(scan.id),
        mask_key=explained.objects.mask,
        region_source=explained.explanation.region_source,
        segmentation_dice=explained.explanation.segmentation_dice,
        geometry=Geometry.model_validate(scan.geometry),
        label=found.classification.label,
        confidence=found.classification.confidence,
        calibrated=found.classification.calibrated,
        input_accepted=found.input_check.accepted,
    )
