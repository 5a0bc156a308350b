"""From an analysis's stages to the public analysis."""

from collections.abc import Sequence

from neuroscan.contracts.enums import StageName, StageState, WorkState
from neuroscan.contracts.further import AnalysisView
from services.gateway.db.tables import Analysis, Stage
from services.gateway.explanations.views import explanation_path, track_explanation
from services.gateway.scans.views import (
    Stages,
    classification,
    explain_result,
    explanation_links,
    scan_path,
    spatial,
    stage_view,
)

# What is done again; the report stays that of the scan's own results.
STAGES = (StageName.CLASSIFY, StageName.EXPLAIN, StageName.MEASURE)


def analysis_path(scan_id: str, analysis_id: str) -> str:
    """The public path of an analysis."""
    return scan_path(scan_id, f"analyses/{analysis_id}")


def analysis_view(analysis: Analysis, rows: Sequence[Stage]) -> AnalysisView:
    """The analysis as it is now."""
    stages: Stages = {StageName(stage.name): stage for stage in rows}
    found, explained = classification(stages), explain_result(stages)
    path = explanation_path(analysis.scan_id, analysis.id)
    return AnalysisView(
        id=analysis.id,
        scan_id=analysis.scan_id,
        state=_state([StageState(stage.state) for stage in rows]),
        created_at=analysis.created_at,
        input_check=found.input_check if found else None,
        classification=found.classification if found else None,
        explanation=(
            track_explanation(explained, analysis.scan_id, analysis.id) if explained else None
        ),
        spatial=spatial(stages),
        model=found.model if found else None,
        stages=[stage_view(stages[name]) for name in STAGES],
        links={
            "self": analysis_path(analysis.scan_id, analysis.id),
            "scan": scan_path(analysis.scan_id),
        }
        | (explanation_links(path) if explained else {}),
    )


def _state(states: Sequence[StageState]) -> WorkState:
    for over in (StageState.FAILED, StageState.CANCELED):
        if over in states:
            return WorkState(over)
    if all(state is StageState.DONE for state in states):
        return WorkState.DONE
    begun = StageState.DONE in states or StageState.RUNNING in states
    return WorkState.RUNNING if begun else WorkState.QUEUED
