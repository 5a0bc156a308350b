"""`/v1/scans/{scan_id}/reanalyze` and `/v1/scans/{scan_id}/analyses`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response

from neuroscan.contracts import problems
from neuroscan.contracts.further import AnalysisPage, AnalysisView
from services.gateway.analyses.views import analysis_path
from services.gateway.auth.principal import SUBMITTER, CurrentPrincipal
from services.gateway.context import Analyses, ScanId
from services.gateway.errors import responses
from services.gateway.explanations.endpoints import ACCEPTED
from services.gateway.idempotency.once import KEY_PROBLEMS, Once
from services.gateway.scans.endpoints import RETRY_AFTER_S, CursorQuery, LimitQuery

router = APIRouter(prefix="/v1/scans/{scan_id}", tags=["analyses"])

AnalysisId = Annotated[UUID, Path(description="The analysis's id")]


@router.post(
    "/reanalyze",
    status_code=202,
    dependencies=[SUBMITTER],
    responses=ACCEPTED
    | responses(
        problems.NotFound,
        problems.NotReady,
        problems.Conflict,
        problems.InvalidRequest,
        *KEY_PROBLEMS,
    ),
)
def reanalyze_scan(
    response: Response, analyses: Analyses, principal: CurrentPrincipal, scan_id: ScanId, once: Once
) -> AnalysisView:
    """Classify, explain and measure again with the model that runs now; the scan stays as it is."""
    analysis = analyses.ask(scan_id, principal, once)
    response.headers["Location"] = analysis_path(scan_id, analysis.id)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return analysis


@router.get(
    "/analyses",
    dependencies=[SUBMITTER],
    responses=responses(problems.NotFound, problems.BadCursor, problems.InvalidRequest),
)
def list_analyses(
    analyses: Analyses,
    principal: CurrentPrincipal,
    scan_id: ScanId,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> AnalysisPage:
    """The scan's further analyses, newest first."""
    return analyses.list(scan_id, principal, cursor=cursor, limit=limit)


@router.get(
    "/analyses/{analysis_id}",
    dependencies=[SUBMITTER],
    responses=responses(problems.NotFound, problems.InvalidRequest),
)
def read_analysis(
    analyses: Analyses, principal: CurrentPrincipal, scan_id: ScanId, analysis_id: AnalysisId
) -> AnalysisView:
    """An analysis as it is now."""
    return analyses.get(scan_id, str(analysis_id), principal)
