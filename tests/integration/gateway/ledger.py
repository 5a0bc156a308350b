"""Rows and results for tests of the ledger."""

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session

from neuroscan.contracts.enums import (
    CamMethod,
    ImageFormat,
    StageName,
    StageState,
    Standing,
    TumorClass,
)
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.messages import Finished, Started
from neuroscan.contracts.problems import StageFailed
from neuroscan.contracts.results import (
    Classification,
    ExplainResult,
    ExplanationFacts,
    ExplanationObjects,
    InferenceResult,
    InputCheck,
    ModelFacts,
    Probabilities,
    Regions,
)
from neuroscan.contracts.spatial import HemisphereParameter, MeasureResult, SpatialParameters
from services.gateway.db.session import transaction
from services.gateway.db.tables import STAGE_ORDER, Batch, Patient, Scan, Stage, now
from services.gateway.pipeline import keys, record, results
from services.gateway.pipeline.ledger import StageRef, input_digest
from services.gateway.pipeline.record import Recorded, StageResult

MODEL = ModelFacts(name="test", version="1", sha256="0" * 64)


def add_scan(
    engine: Engine, *, lease_until: datetime | None = None, batch: bool = False, **fields: Any
) -> str:
    """A scan whose classify stage runs; returns its id. `fields` are the row's own."""
    usual: dict[str, Any] = {
        "owner": "key:test",
        "request_id": "request-1",
        "image_format": ImageFormat.PNG,
        "width": 64,
        "height": 64,
        "sha256": "1" * 64,
        "original_key": "",
        "original_media_type": "image/png",
        "geometry": Geometry().model_dump(mode="json"),
    }
    with Session(engine) as session:
        if batch:
            of = Batch(owner=fields.get("owner", usual["owner"]))
            session.add(of)
            session.flush()
            fields["batch_id"] = of.id
        scan = Scan(**usual | fields)
        scan.original_key = keys.original_key(scan.id)
        session.add(scan)
        session.flush()
        for name in STAGE_ORDER:
            stage = Stage(scan_id=scan.id, name=name)
            if name is StageName.CLASSIFY:
                stage.state = StageState.RUNNING
                stage.lease_until = lease_until or now()
                stage.input_digest = input_digest(scan.sha256, scan.id)
            session.add(stage)
        session.commit()
        return scan.id


def classified_scan(engine: Engine, *, owner: str = "key:test", batch: bool = False) -> str:
    """A scan whose explain stage waits; returns its id."""
    scan_id = add_scan(engine, owner=owner, batch=batch)
    classify(engine, scan_id)
    return scan_id


def completed_scan(engine: Engine, *, owner: str = "key:test") -> str:
    """A scan that is through; returns its id."""
    scan_id = add_scan(engine, owner=owner)
    complete(engine, scan_id)
    return scan_id


def finish(
    engine: Engine, scan_id: str, stage: StageName, run: str = "r", track: str = ""
) -> Recorded:
    """A worker is done."""
    message = finished(engine, scan_id, stage, run, track)
    with transaction(engine) as session:
        return record.record(session, results.from_message(message))


def fail_for_good(engine: Engine, ref: StageRef) -> None:
    """A stage fails as often as it may."""
    for attempt in (1, 2, 3):
        with transaction(engine) as session:
            record.attempt_failed(session, ref, attempt, StageFailed().problem(), 3)


def stage_row(engine: Engine, scan_id: str, name: StageName, track: str = "") -> Stage:
    """A stage as it is now."""
    with Session(engine, expire_on_commit=False) as session:
        return session.get_one(Stage, (scan_id, track, name))


def scan_row(engine: Engine, scan_id: str) -> Scan:
    """A scan as it is now."""
    with Session(engine, expire_on_commit=False) as session:
        return session.get_one(Scan, scan_id)


def inference_result(
    label: TumorClass = TumorClass.GLIOMA, *others: TumorClass, accepted: bool = True
) -> InferenceResult:
    """A classification; `others` are in the prediction set too."""
    return InferenceResult(
        input_check=InputCheck(accepted=accepted, score=1.0, threshold=2.0, message="fine"),
        classification=Classification(
            label=label,
            confidence=0.9,
            probabilities=Probabilities(glioma=0.9, meningioma=0.05, no_tumor=0.03, pituitary=0.02),
            prediction_set=[label, *others],
            coverage=0.95,
            calibrated=True,
            elapsed_ms=1.0,
        ),
        model=MODEL,
    )


def explain_result(prefix: str) -> ExplainResult:
    """An explanation whose objects lie under a prefix."""
    return ExplainResult(
        explanation=ExplanationFacts(
            id="e1",
            method=CamMethod.HIRESCAM,
            layer="layer3[-1]",
            target_label=TumorClass.GLIOMA,
            class_score=1.0,
            positive_evidence=False,
            sharpness=None,
            region_source=None,
            region=None,
            regions=Regions(),
            overlap=None,
            elapsed_ms=1.0,
        ),
        objects=ExplanationObjects(
            heatmap=f"{prefix}/heatmap.png",
            overlay=f"{prefix}/overlay.png",
            cam=f"{prefix}/cam.npz",
            mask=None,
        ),
        model=MODEL,
    )


def measure_result() -> MeasureResult:
    """Ten parameters that can't be assessed."""
    nothing = {"status": Standing.NOT_ASSESSABLE, "method": "none", "reason": "a test"}
    names = set(SpatialParameters.model_fields) - {"hemisphere"}
    return MeasureResult(
        geometry=Geometry(row_mm=0.5, column_mm=0.5),
        spatial=SpatialParameters.model_validate(
            dict.fromkeys(names, nothing) | {"hemisphere": HemisphereParameter(**nothing)}
        ),
        elapsed_ms=1.0,
    )


def started(scan_id: str, stage: StageName, attempt: int = 1, track: str = "") -> Started:
    """A worker's first message."""
    return Started(
        scan_id=scan_id,
        track=track,
        stage=stage,
        attempt=attempt,
        run="r",
        at=datetime.now(UTC),
    )


def finished(
    engine: Engine, scan_id: str, stage: StageName, run: str = "r", track: str = ""
) -> Finished:
    """A worker's last message, for the stage's present input."""
    row = stage_row(engine, scan_id, stage, track)
    prefix = f"{keys.attempt_prefix(scan_id, stage, row.attempt, track)}-{run}"
    result = explain_result(prefix) if stage is StageName.EXPLAIN else measure_result()
    return Finished(
        scan_id=scan_id,
        track=track,
        stage=stage,
        attempt=row.attempt,
        run=run,
        input_digest=row.input_digest,
        code_version="1",
        prefix=prefix,
        result=result,
    )


def classify(
    engine: Engine,
    scan_id: str,
    label: TumorClass = TumorClass.GLIOMA,
    *others: TumorClass,
    accepted: bool = True,
) -> None:
    """Record a scan's classification; `others` are in the prediction set too."""
    digest = stage_row(engine, scan_id, StageName.CLASSIFY).input_digest
    with transaction(engine) as session:
        ref = StageRef(scan_id, StageName.CLASSIFY)
        result = inference_result(label, *others, accepted=accepted)
        record.record(session, results.classified(ref, digest, result))


def complete(
    engine: Engine, scan_id: str, label: TumorClass = TumorClass.GLIOMA, *others: TumorClass
) -> None:
    """Record the results of all four stages."""
    classify(engine, scan_id, label, *others)
    for stage in (StageName.EXPLAIN, StageName.MEASURE):
        finish(engine, scan_id, stage)
    report = stage_row(engine, scan_id, StageName.REPORT)
    prefix = f"{keys.attempt_prefix(scan_id, StageName.REPORT, 1)}-r"
    output = {"key": f"{prefix}/report.pdf", "sha256": "0" * 64, "version": 1}
    with transaction(engine) as session:
        ref = StageRef(scan_id, StageName.REPORT)
        result = StageResult(ref, output, report.input_digest, prefix=prefix)
        record.record(session, result)


def add_patient(engine: Engine, **fields: Any) -> str:
    """A patient with a number of its own; returns the id."""
    usual: dict[str, Any] = {"medical_record_number": uuid.uuid4().hex}
    with Session(engine) as session:
        patient = Patient(**usual | fields)
        session.add(patient)
        session.commit()
        return patient.id
