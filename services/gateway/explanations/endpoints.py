"""`/v1/scans/{scan_id}/explanations`."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from neuroscan.contracts import problems
from neuroscan.contracts.further import ExplanationPage, ExplanationRequest, FurtherExplanation
from services.gateway.auth.principal import SUBMITTER, CurrentPrincipal
from services.gateway.context import Explanations, ScanId
from services.gateway.errors import Responses, header, responses
from services.gateway.explanations.views import explanation_path
from services.gateway.idempotency.once import KEY_PROBLEMS, REPLAYED, Once
from services.gateway.scans.artefact_endpoints import file_responses
from services.gateway.scans.artefacts import MEDIA_TYPES, Artefact, artefact_response
from services.gateway.scans.endpoints import RETRY_AFTER_S, CursorQuery, LimitQuery

router = APIRouter(prefix="/v1/scans/{scan_id}/explanations", tags=["explanations"])

ACCEPTED: Responses = {
    202: {
        "headers": REPLAYED
        | {
            "Location": header("Where what was asked for is"),
            "Retry-After": header("Seconds until it is worth looking"),
        }
    }
}
ExplanationId = Annotated[UUID, Path(description="The explanation's id, or an analysis's")]


@router.post(
    "",
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
def ask_explanation(
    response: Response,
    explanations: Explanations,
    principal: CurrentPrincipal,
    scan_id: ScanId,
    asked: ExplanationRequest,
    once: Once,
) -> FurtherExplanation:
    """Explain the class that was given once more, by another method or at another layer."""
    explanation = explanations.ask(scan_id, asked, principal, once)
    response.headers["Location"] = explanation_path(scan_id, explanation.id)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return explanation


@router.get(
    "",
    dependencies=[SUBMITTER],
    responses=responses(problems.NotFound, problems.BadCursor, problems.InvalidRequest),
)
def list_explanations(
    explanations: Explanations,
    principal: CurrentPrincipal,
    scan_id: ScanId,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> ExplanationPage:
    """The scan's own explanation on top of the first page, then further ones, newest first."""
    return explanations.list(scan_id, principal, cursor=cursor, limit=limit)


@router.get(
    "/{explanation_id}",
    dependencies=[SUBMITTER],
    responses=responses(problems.NotFound, problems.InvalidRequest),
)
def read_explanation(
    explanations: Explanations,
    principal: CurrentPrincipal,
    scan_id: ScanId,
    explanation_id: ExplanationId,
) -> FurtherExplanation:
    """An explanation as it is now."""
    return explanations.get(scan_id, str(explanation_id), principal)


def _reader(artefact: Artefact) -> Callable[..., Response]:
    def read(
        request: Request,
        explanations: Explanations,
        principal: CurrentPrincipal,
        scan_id: ScanId,
        explanation_id: ExplanationId,
    ) -> Response:
        stored = explanations.artefact(scan_id, str(explanation_id), artefact, principal)
        return artefact_response(request, stored)

    return read


for _artefact in (Artefact.HEATMAP, Artefact.OVERLAY, Artefact.CAM):
    router.add_api_route(
        f"/{{explanation_id}}/{_artefact}",
        _reader(_artefact),
        name=f"read_explanation_{_artefact.value.replace('.', '_')}",
        description="A picture of an explanation, or its raw map.",
        response_class=Response,
        dependencies=[SUBMITTER],
        responses=file_responses(MEDIA_TYPES[_artefact]),
    )
