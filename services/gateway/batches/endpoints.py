"""`/v1/batches`."""

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.requests import ClientDisconnect

from neuroscan.contracts import problems
from neuroscan.contracts.batch import BATCH_FILES_MAX, BatchPage, BatchView
from neuroscan.serving import problem_response
from neuroscan.telemetry import get_logger
from services.gateway.auth.principal import SUBMITTER, CurrentPrincipal
from services.gateway.batches.body import pieces_of, turn
from services.gateway.batches.multipart import FILES_FIELD, read_parts
from services.gateway.batches.upload import BatchUpload, Caller
from services.gateway.batches.views import batch_path
from services.gateway.context import Batches, BatchId, LiveChanges, RequestId
from services.gateway.errors import BodyRefused, Responses, header, responses
from services.gateway.events.polling import Wait, read_when_changed
from services.gateway.scans.artefact_endpoints import file_responses
from services.gateway.scans.artefacts import artefact_response
from services.gateway.scans.conditions import names_tag
from services.gateway.scans.endpoints import (
    CursorQuery,
    IfNoneMatch,
    LimitQuery,
    WaitQuery,
)
from services.gateway.scans.form import ScanFields

router = APIRouter(prefix="/v1/batches", tags=["batches"])

RETRY_AFTER_S = 2
log = get_logger(__name__)

KeyHeader = Annotated[str | None, Header()]

_BATCH_HEADERS = {
    "ETag": header("The version of the batch and its scans"),
    "Retry-After": header("Seconds until it is worth looking again, while anything runs"),
}
_LOCATION = header("The batch's path; on an error too, when what had come before it stays")
TAKEN: Responses = {
    202: {
        "model": BatchView,
        "headers": _BATCH_HEADERS
        | {
            "Location": _LOCATION,
            "Idempotency-Replayed": header("`true` when an earlier request had made the batch"),
        },
    }
}
BATCH: Responses = {200: {"headers": _BATCH_HEADERS}, 304: {"headers": _BATCH_HEADERS}}
_UPLOAD_PROBLEMS = responses(
    problems.BadRequest,
    problems.InvalidRequest,
    problems.UnknownPatient,
    problems.Forbidden,
    problems.TooManyFiles,
    problems.NotFound,
    problems.IdempotencyConflict,
    problems.IdempotencyInProgress,
    problems.Overloaded,
    problems.Unavailable,
)
_DISPOSITION = {"Content-Disposition": header("`attachment`, with a name made of the batch's id")}


def _file(media_type: str) -> Responses:
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {200: {"content": content, "headers": _DISPOSITION}}


def _form() -> dict[str, object]:
    """The body of an upload for the OpenAPI document: FastAPI does not parse it."""
    form = ScanFields.model_json_schema(ref_template="#/components/schemas/{model}")
    form.pop("$defs")
    form["title"] = "BatchForm"
    # A form has no null: a field that says nothing is left out.
    for field in form["properties"].values():
        if kinds := field.pop("anyOf", None):
            field.update(next(kind for kind in kinds if kind != {"type": "null"}))
            del field["default"]
    form["properties"][FILES_FIELD] = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": 1,
        "maxItems": BATCH_FILES_MAX,
        "description": "JPEG, PNG or DICOM, each up to 32 MiB, together up to 2 GiB; after fields",
    }
    form["required"] = [FILES_FIELD]
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}


@router.post(
    "",
    status_code=202,
    dependencies=[SUBMITTER],
    response_class=JSONResponse,
    responses=TAKEN | _UPLOAD_PROBLEMS,
    openapi_extra=_form(),
)
async def create_batch(
    request: Request,
    batches: Batches,
    principal: CurrentPrincipal,
    request_id: RequestId,
    idempotency_key: KeyHeader = None,
) -> Response:
    """Send many slices: fields first, which count for all of them, then files as `images`.

    Each file is taken in as it comes, and one that is off fails alone. A request that breaks off
    keeps what has come; sent again with the same key it goes on where it was.
    """
    caller = Caller(principal, request_id, idempotency_key)
    upload = batches.new(caller, stopping=request.app.state.stopping)
    return await _take(request, batches, upload, principal)


@router.post(
    "/{batch_id}/items",
    status_code=202,
    dependencies=[SUBMITTER],
    response_class=JSONResponse,
    responses=TAKEN | _UPLOAD_PROBLEMS,
    openapi_extra=_form(),
)
async def add_items(
    request: Request,
    batches: Batches,
    principal: CurrentPrincipal,
    request_id: RequestId,
    batch_id: BatchId,
    idempotency_key: KeyHeader = None,
) -> Response:
    """Add more files to a batch of your own. Fields count for these files only."""
    caller = Caller(principal, request_id, idempotency_key)
    stopping = request.app.state.stopping
    upload = await run_sync(lambda: batches.more(batch_id, caller, stopping=stopping))
    return await _take(request, batches, upload, principal)


@router.get(
    "",
    dependencies=[SUBMITTER],
    responses=responses(problems.BadCursor, problems.InvalidRequest),
)
def list_batches(
    batches: Batches,
    principal: CurrentPrincipal,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> BatchPage:
    """Batches, newest first, without their items."""
    return batches.list(principal, cursor=cursor, limit=limit)


@router.get(
    "/{batch_id}",
    response_model=BatchView,
    dependencies=[SUBMITTER],
    responses=BATCH
    | responses(problems.NotFound, problems.InvalidRequest, problems.TooManyRequests),
)
async def read_batch(
    request: Request,
    response: Response,
    batches: Batches,
    changes: LiveChanges,
    principal: CurrentPrincipal,
    batch_id: BatchId,
    wait: WaitQuery = 0,
    if_none_match: IfNoneMatch = None,
) -> Response | BatchView:
    """The batch as it is now, or at its next change when `wait` is given."""
    version, over = await run_sync(batches.version, batch_id, principal)
    # Without a header, the present version is the known one, so that `wait` waits.
    known = version if if_none_match is None or names_tag(if_none_match, _etag(version)) else None
    if wait and version == known and not over:
        version, over = await read_when_changed(
            request,
            changes,
            Wait(principal, batch_id, wait),
            read=lambda: batches.version(batch_id, principal, anew=True),
            unchanged=lambda found: found[0] == known and not found[1],
        )
    headers = _headers(version, over=over)
    if if_none_match is not None and version == known:
        return Response(status_code=304, headers=headers)
    batch, version = await run_sync(batches.get, batch_id, principal)
    response.headers.update(_headers(version, over=batch.done))
    return batch


@router.delete(
    "/{batch_id}",
    status_code=204,
    dependencies=[SUBMITTER],
    responses=responses(problems.NotFound, problems.InvalidRequest),
)
def delete_batch(batches: Batches, principal: CurrentPrincipal, batch_id: BatchId) -> None:
    """Remove a batch with its files' names, its scans and everything made from them."""
    batches.delete(batch_id, principal)


@router.get(
    "/{batch_id}/results.csv",
    response_class=StreamingResponse,
    dependencies=[SUBMITTER],
    responses=_file("text/csv") | responses(problems.NotFound, problems.InvalidRequest),
)
def read_results(
    batches: Batches, principal: CurrentPrincipal, batch_id: BatchId
) -> StreamingResponse:
    """The results as a table, one line a file, UTF-8 with a header."""
    return StreamingResponse(
        batches.results(batch_id, principal),
        media_type="text/csv; charset=utf-8; header=present",
        headers=_attachment(f"batch-{batch_id}.csv"),
    )


@router.get(
    "/{batch_id}/report.zip",
    response_class=StreamingResponse,
    dependencies=[SUBMITTER],
    responses=_file("application/zip") | responses(problems.NotFound, problems.InvalidRequest),
)
def read_reports(
    batches: Batches, principal: CurrentPrincipal, request_id: RequestId, batch_id: BatchId
) -> StreamingResponse:
    """The PDFs that there are, the summary and the table, as an archive."""
    return StreamingResponse(
        batches.reports(batch_id, principal, request_id),
        media_type="application/zip",
        headers=_attachment(f"batch-{batch_id}.zip"),
    )


@router.get(
    "/{batch_id}/summary.pdf",
    response_class=Response,
    dependencies=[SUBMITTER],
    responses=file_responses("application/pdf") | responses(problems.Unavailable),
)
def read_summary(
    request: Request,
    batches: Batches,
    principal: CurrentPrincipal,
    request_id: RequestId,
    batch_id: BatchId,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """The batch as one table for print: what needs a look first. Made when it is asked for."""
    stored = batches.summary(batch_id, principal, request_id, if_none_match)
    return artefact_response(request, stored)


async def _take(
    request: Request, batches: Batches, upload: BatchUpload, by: CurrentPrincipal
) -> Response:
    """Take the request's files in and answer with the batch."""
    try:
        async with turn(upload):
            parts = read_parts(pieces_of(request), request.headers.get("content-type", ""))
            batch_id = await upload.run(parts)
    except ClientDisconnect:
        log.info("batch.broken_off", batch_id=upload.batch_id, files=upload.files)
        return problem_response(problems.BadRequest("The request broke off."), request.url.path)
    except (problems.NeuroscanError, BodyRefused) as error:
        # A batch that was deleted meanwhile is at no place any more.
        if upload.batch_id is None or isinstance(error, problems.NotFound):
            raise
        refusal = error.refusal if isinstance(error, BodyRefused) else error
        log.info("batch.stopped", batch_id=upload.batch_id, code=refusal.code, files=upload.files)
        answer = problem_response(refusal, request.url.path)
        answer.headers["Location"] = batch_path(upload.batch_id)
        return answer
    batch, version = await run_sync(batches.get, batch_id, by)
    answer = JSONResponse(batch.model_dump(mode="json"), status_code=202)
    answer.headers["Location"] = batch_path(batch_id)
    answer.headers.update(_headers(version, over=batch.done))
    if upload.replayed:
        answer.headers["Idempotency-Replayed"] = "true"
    return answer


def _headers(version: str, *, over: bool) -> dict[str, str]:
    return {"ETag": _etag(version)} | ({} if over else {"Retry-After": str(RETRY_AFTER_S)})


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _etag(version: str) -> str:
    return f'"{version}"'
