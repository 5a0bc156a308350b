"""`/v1/stages` and `/v1/scans/{scan_id}/retry`, for administrators."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from neuroscan.contracts import problems
from neuroscan.contracts.further import DeadStagePage
from neuroscan.contracts.scan import ScanView
from services.gateway.auth.principal import ADMIN, CurrentPrincipal
from services.gateway.context import ScanId, Stages
from services.gateway.errors import responses
from services.gateway.explanations.endpoints import ACCEPTED
from services.gateway.idempotency.once import KEY_PROBLEMS, Once
from services.gateway.scans.endpoints import RETRY_AFTER_S, CursorQuery, LimitQuery
from services.gateway.scans.views import scan_path
from services.gateway.stages.service import Listed

router = APIRouter(prefix="/v1", tags=["operation"])


@router.get(
    "/stages",
    dependencies=[ADMIN],
    responses=responses(problems.BadCursor, problems.InvalidRequest),
)
def list_stages(
    stages: Stages,
    principal: CurrentPrincipal,
    state: Annotated[Listed, Query(description="`dead`: failed for good")] = "dead",
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> DeadStagePage:
    """Stages that failed for good, of all scans and further work, the latest first."""
    return stages.list(state, principal, cursor=cursor, limit=limit)


@router.post(
    "/scans/{scan_id}/retry",
    status_code=202,
    dependencies=[ADMIN],
    responses=ACCEPTED
    | responses(problems.NotFound, problems.Conflict, problems.InvalidRequest, *KEY_PROBLEMS),
)
def retry_scan(
    response: Response,
    stages: Stages,
    principal: CurrentPrincipal,
    scan_id: ScanId,
    once: Once,
    track: Annotated[
        UUID | None,
        Query(
            description="Only the stages of this explanation or analysis, or, by the scan's own "
            "id, of the report that is made anew"
        ),
    ] = None,
) -> ScanView:
    """Try again what failed for good: a first attempt, and the scan's state as far as it came."""
    scan = stages.retry(scan_id, str(track) if track else None, principal, once)
    response.headers["Location"] = scan_path(scan_id)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return scan
