"""`/v1/scans/{id}/review` and `/v1/model/agreement`."""

from fastapi import APIRouter, Response

from neuroscan.contracts import problems
from neuroscan.contracts.review import Agreement, ReviewCreate
from neuroscan.contracts.scan import ScanView
from services.gateway.auth.principal import CLINICIAN, CurrentPrincipal
from services.gateway.context import Reviews, ScanId
from services.gateway.errors import Responses, header, responses
from services.gateway.scans.conditions import version_tag

router = APIRouter(prefix="/v1", tags=["reviews"])

REVIEWED: Responses = {200: {"headers": {"ETag": header("The scan's version")}}}


@router.put(
    "/scans/{scan_id}/review",
    dependencies=[CLINICIAN],
    responses=REVIEWED | responses(problems.NotFound, problems.NotReady, problems.InvalidRequest),
)
def review_scan(
    response: Response,
    reviews: Reviews,
    principal: CurrentPrincipal,
    scan_id: ScanId,
    verdict: ReviewCreate,
) -> ScanView:
    """A reader's verdict. The newest one is shown in the scan; earlier ones are kept."""
    scan = reviews.put(scan_id, verdict, principal)
    response.headers["ETag"] = version_tag(scan.version)
    return scan


@router.get("/model/agreement", dependencies=[CLINICIAN])
def read_agreement(reviews: Reviews) -> Agreement:
    """How often readers' reviews agree with the network, by predicted class and month."""
    return reviews.agreement()
