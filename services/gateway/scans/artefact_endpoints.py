"""`/v1/scans/{id}/…`: pictures, the raw map and the PDF, each a route of its own media type."""

from collections.abc import Callable

from fastapi import APIRouter, Request, Response

from neuroscan.contracts import problems
from services.gateway.auth.principal import SUBMITTER, CurrentPrincipal
from services.gateway.context import ScanId, Scans
from services.gateway.errors import Responses, header, responses
from services.gateway.scans.artefacts import MEDIA_TYPES, Artefact, artefact_response
from services.gateway.scans.endpoints import IfNoneMatch

router = APIRouter(prefix="/v1/scans/{scan_id}", tags=["scans"])

_WHAT = {
    Artefact.SLICE: "The slice as the network and the reader see it",
    Artefact.THUMBNAIL: "A small picture for lists",
    Artefact.HEATMAP: "The map of where the network looked",
    Artefact.OVERLAY: "The slice under its map, with the region's outline",
    Artefact.CAM: "The raw map, unscaled, as NumPy's `npz`",
    Artefact.REPORT: "The report",
}
_FILE_HEADERS = {"ETag": header("Names this content"), "Accept-Ranges": header("`bytes`")}
_PART_HEADERS = _FILE_HEADERS | {"Content-Range": header("Which bytes of how many")}


def file_responses(media_type: str) -> Responses:
    """The OpenAPI responses of a route that `artefact_response` answers."""
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {
        200: {"content": content, "headers": _FILE_HEADERS},
        206: {"content": content, "headers": _PART_HEADERS},
        304: {"headers": _FILE_HEADERS},
    } | responses(
        problems.NotFound,
        problems.NotReady,
        problems.RangeNotSatisfiable,
        problems.InvalidRequest,
    )


def _reader(artefact: Artefact) -> Callable[..., Response]:
    def read(
        request: Request,
        scans: Scans,
        principal: CurrentPrincipal,
        scan_id: ScanId,
        if_none_match: IfNoneMatch = None,
    ) -> Response:
        stored = scans.artefact(scan_id, artefact, principal, if_none_match)
        return artefact_response(request, stored)

    return read


for _artefact in Artefact:
    router.add_api_route(
        f"/{_artefact}",
        _reader(_artefact),
        name=f"read_{_artefact.value.replace('.', '_')}",
        description=f"{_WHAT[_artefact]}.",
        response_class=Response,
        dependencies=[SUBMITTER],
        responses=file_responses(MEDIA_TYPES[_artefact]),
    )
