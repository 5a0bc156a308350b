"""`/v1/model/card`, `/v1/model/figures/{name}`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from neuroscan.contracts import problems
from neuroscan.settings import ModelSettings
from services.gateway.auth.principal import SUBMITTER
from services.gateway.card.bundle import Card, CardView
from services.gateway.errors import Responses, header, responses
from services.gateway.scans.conditions import names_tag

router = APIRouter(prefix="/v1/model", tags=["operation"])

_TAG = {"ETag": header("Names this content")}
FIGURE: Responses = {
    200: {
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
        "headers": _TAG,
    },
    304: {"headers": _TAG},
}


def _card() -> Card:
    return Card(ModelSettings().model_bundle)


CardDependency = Annotated[Card, Depends(_card)]
FigureName = Annotated[str, Path(description="A name of the card's `figures`", max_length=100)]


@router.get("/card", dependencies=[SUBMITTER], responses=responses(problems.NotFound))
def read_card(card: CardDependency) -> CardView:
    """What was measured on the model: the card in Markdown, its numbers, its figures' names."""
    return card.read()


@router.get(
    "/figures/{name}",
    response_class=Response,
    dependencies=[SUBMITTER],
    responses=FIGURE | responses(problems.NotFound, problems.InvalidRequest),
)
def read_figure(request: Request, card: CardDependency, name: FigureName) -> Response:
    """A figure of the card."""
    figure = card.figure(name)
    headers = {"ETag": figure.etag, "Cache-Control": "private, no-cache"}
    if names_tag(request.headers.get("if-none-match"), figure.etag):
        return Response(status_code=304, headers=headers)
    return Response(figure.content, headers=headers, media_type="image/png")
