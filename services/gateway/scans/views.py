"""From the ledger's rows to the public scan."""

from neuroscan.contracts.enums import ImageFormat, ScanState, StageName, StageState, TumorClass
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.problems import Problem
from neuroscan.contracts.results import ExplainResult, InferenceResult
from neuroscan.contracts.scan import (
    ExplanationImages,
    ExplanationView,
    ImageFacts,
    ReportView,
    ReviewView,
    ScanView,
    StageView,
)
from neuroscan.contracts.spatial import MeasureResult, SpatialParameters
from services.gateway.db.tables import STAGE_ORDER, Review, Scan, Stage

Stages = dict[StageName, Stage]


def scan_path(scan_id: str, artefact: str | None = None) -> str:
    """The public path of a scan or of one of its artefacts."""
    path = f"/v1/scans/{scan_id}"
    return f"{path}/{artefact}" if artefact else path


def scan_view(scan: Scan, stages: Stages, review: Review | None = None) -> ScanView:
    """The scan as it is now."""
    found = classification(stages)
    explained = explain_result(stages)
    return ScanView(
        id=scan.id,
        version=scan.version,
        state=ScanState(scan.state),
        reference=scan.reference,
        patient_id=scan.patient_id,
        batch_id=scan.batch_id,
        duplicate_of=scan.duplicate_of,
        created_at=scan.created_at,
        updated_at=scan.updated_at,
        acquired_at=scan.acquired_at,
        image=ImageFacts(
            format=ImageFormat(scan.image_format),
            width=scan.width,
            height=scan.height,
            sha256=scan.sha256,
            geometry=Geometry.model_validate(scan.geometry),
        ),
        input_check=found.input_check if found else None,
        classification=found.classification if found else None,
        explanation=explanation_view(explained, scan_path(scan.id)) if explained else None,
        spatial=spatial(stages),
        report=_report(scan.id, stages),
        review=review_view(review) if review else None,
        stages=[stage_view(stages[name]) for name in STAGE_ORDER],
        model=found.model if found else None,
        links=_links(scan.id, stages),
    )


def review_view(review: Review) -> ReviewView:
    """A verdict as stored."""
    return ReviewView(
        label=TumorClass(review.label),
        agrees=review.agrees,
        comment=review.comment,
        principal=review.principal,
        at=review.at,
    )


def classification(stages: Stages) -> InferenceResult | None:
    """The classification, once there is one."""
    output = stages[StageName.CLASSIFY].output
    return InferenceResult.model_validate(output) if output else None


def explain_result(stages: Stages) -> ExplainResult | None:
    """The explanation with its object keys, once there is one."""
    output = stages[StageName.EXPLAIN].output
    return ExplainResult.model_validate(output) if output else None


def explanation_view(result: ExplainResult, folder: str) -> ExplanationView:
    """An explanation whose pictures are at paths below `folder`."""
    images = ExplanationImages(heatmap=f"{folder}/heatmap.png", overlay=f"{folder}/overlay.png")
    # Its parts are valid and never change: they need not be taken apart and put together again.
    return ExplanationView(**dict(result.explanation), images=images)


def spatial(stages: Stages) -> SpatialParameters | None:
    """The ten parameters, once they are measured."""
    output = stages[StageName.MEASURE].output
    return MeasureResult.model_validate(output).spatial if output else None


def explanation_links(folder: str) -> dict[str, str]:
    """Where an explanation's files are."""
    return {
        "heatmap": f"{folder}/heatmap.png",
        "overlay": f"{folder}/overlay.png",
        "cam": f"{folder}/cam.npz",
    }


def _report(scan_id: str, stages: Stages) -> ReportView | None:
    output = stages[StageName.REPORT].output
    if not output:
        return None
    href = scan_path(scan_id, "report.pdf")
    return ReportView(href=href, sha256=output["sha256"], version=output["version"])


def stage_view(stage: Stage) -> StageView:
    """A stage as stored."""
    return StageView(
        name=StageName(stage.name),
        state=StageState(stage.state),
        attempt=stage.attempt,
        started_at=stage.started_at,
        finished_at=stage.finished_at,
        problem=Problem.model_validate(stage.problem) if stage.problem else None,
    )


def _links(scan_id: str, stages: Stages) -> dict[str, str]:
    links = {
        "self": scan_path(scan_id),
        "slice": scan_path(scan_id, "slice.png"),
        "thumbnail": scan_path(scan_id, "thumbnail.webp"),
        "explanations": scan_path(scan_id, "explanations"),
        "analyses": scan_path(scan_id, "analyses"),
    }
    if stages[StageName.EXPLAIN].output:
        links |= explanation_links(scan_path(scan_id))
    if stages[StageName.REPORT].output:
        links["report"] = scan_path(scan_id, "report.pdf")
    return links
