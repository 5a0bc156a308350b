"""From an explanation's stage to the public explanation."""

from neuroscan.contracts.enums import CamMethod, StageState, WorkState
from neuroscan.contracts.further import FurtherExplanation
from neuroscan.contracts.problems import Problem
from neuroscan.contracts.results import ExplainResult
from neuroscan.contracts.scan import ExplanationView
from services.gateway.db.tables import OWN_TRACK
from services.gateway.explanations.repository import Explained
from services.gateway.scans.views import explanation_links, explanation_view, scan_path

WORK_STATES = {
    StageState.WAITING: WorkState.QUEUED,
    StageState.QUEUED: WorkState.QUEUED,
    StageState.RUNNING: WorkState.RUNNING,
    StageState.DONE: WorkState.DONE,
    StageState.FAILED: WorkState.FAILED,
    StageState.CANCELED: WorkState.CANCELED,
}


def explanation_path(scan_id: str, explanation_id: str) -> str:
    """The public path of an explanation; its files are below."""
    return scan_path(scan_id, f"explanations/{explanation_id}")


def track_explanation(result: ExplainResult, scan_id: str, track: str) -> ExplanationView:
    """The explanation of a track, under the track's id."""
    view = explanation_view(result, explanation_path(scan_id, track))
    return view.model_copy(update={"id": track})


def further_explanation(found: Explained, explanation_id: str) -> FurtherExplanation:
    """The explanation as it is now."""
    stage = found.stage
    result = ExplainResult.model_validate(stage.output) if stage.output else None
    view = None
    if result is not None and stage.track == OWN_TRACK:
        view = explanation_view(result, scan_path(found.scan_id))
    elif result is not None:
        view = track_explanation(result, found.scan_id, stage.track)
    asked = CamMethod(found.method) if found.method else None
    path = explanation_path(found.scan_id, explanation_id)
    failed = stage.state == StageState.FAILED and stage.problem
    return FurtherExplanation(
        id=explanation_id,
        scan_id=found.scan_id,
        state=WORK_STATES[StageState(stage.state)],
        method=view.method if view else asked,
        layer=view.layer if view else found.layer,
        created_at=found.created_at,
        explanation=view,
        problem=Problem.model_validate(stage.problem) if failed else None,
        links={"self": path, "scan": scan_path(found.scan_id)}
        | (explanation_links(path) if view else {}),
    )
