"""`/v1/scans`."""

from typing import Annotated
from uuid import UUID

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, File, Header, Query, Request, Response, UploadFile

from neuroscan.contracts import problems
from neuroscan.contracts.enums import DisplayConvention, ScanState, TumorClass
from neuroscan.contracts.moments import Moment
from neuroscan.contracts.scan import ScanPage, ScanView
from services.gateway.auth.principal import SUBMITTER, CurrentPrincipal
from services.gateway.context import Intakes, LiveChanges, RequestId, ScanId, Scans
from services.gateway.errors import Responses, header, responses
from services.gateway.events.polling import Wait, read_when_changed
from services.gateway.moments import in_utc
from services.gateway.scans.conditions import names_tag
from services.gateway.scans.form import (
    STORABLE,
    AcquiredField,
    ConventionField,
    FrameField,
    NotesField,
    PatientField,
    ReferenceField,
    SpacingField,
    check_form,
    make_upload,
    read_image,
)
from services.gateway.scans.intake import Sender
from services.gateway.scans.repository import ScanFilter
from services.gateway.scans.views import scan_path

router = APIRouter(prefix="/v1/scans", tags=["scans"])

RETRY_AFTER_S = 1
# Uploads wait for a decoding process and for their key; other calls keep threads of their own.
UPLOADS = CapacityLimiter(16)

_SCAN_HEADERS = {
    "ETag": header("The scan's version"),
    "Retry-After": header("Seconds until it is worth looking again, while the scan runs"),
}
SUBMITTED: Responses = {
    202: {
        "headers": _SCAN_HEADERS
        | {
            "Location": header("The scan's path"),
            "Idempotency-Replayed": header("`true` when an earlier request had made the scan"),
        }
    }
}
SCAN: Responses = {200: {"headers": _SCAN_HEADERS}, 304: {"headers": _SCAN_HEADERS}}
WaitQuery = Annotated[float, Query(ge=0, le=30, description="Wait for a change, in seconds")]
CursorQuery = Annotated[str | None, Query(max_length=200)]
LimitQuery = Annotated[int, Query(ge=1, le=200)]
IfNoneMatch = Annotated[str | None, Header()]


@router.post(
    "",
    status_code=202,
    dependencies=[SUBMITTER, Depends(check_form)],
    responses=SUBMITTED
    | responses(
        problems.EmptyFile,
        problems.TruncatedImage,
        problems.NotAnImage,
        problems.FormatMismatch,
        problems.FileTooLarge,
        problems.ImageTooLarge,
        problems.ImageTooSmall,
        problems.DecodeLimit,
        problems.FrameRequired,
        problems.FrameOutOfRange,
        problems.DicomWithoutPixels,
        problems.UnsupportedTransferSyntax,
        problems.InvalidRequest,
        problems.UnknownPatient,
        problems.PatientMismatch,
        problems.Forbidden,
        problems.IdempotencyConflict,
        problems.IdempotencyInProgress,
        problems.Unavailable,
    ),
)
async def submit_scan(  # noqa: PLR0913, PLR0917 - FastAPI binds the form's fields by name
    response: Response,
    intake: Intakes,
    scans: Scans,
    principal: CurrentPrincipal,
    request_id: RequestId,
    image: Annotated[UploadFile, File(description="JPEG, PNG or DICOM, up to 32 MiB")],
    patient_id: PatientField = None,
    reference: ReferenceField = None,
    frame: FrameField = None,
    acquired_at: AcquiredField = None,
    pixel_spacing_mm: SpacingField = None,
    display_convention: ConventionField = DisplayConvention.UNKNOWN,
    notes: NotesField = None,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> ScanView:
    """Submit a slice. The answer holds the classification when inference answered in time."""
    upload = make_upload(
        image=await read_image(image),
        patient_id=patient_id,
        reference=reference,
        frame=frame,
        acquired_at=acquired_at,
        pixel_spacing_mm=pixel_spacing_mm,
        display_convention=display_convention,
        notes=notes,
    )

    def submit() -> ScanView:
        made = intake.submit(upload, key=idempotency_key, sender=Sender(principal, request_id))
        if made.replayed:
            response.headers["Idempotency-Replayed"] = "true"
        return scans.get(made.scan_id, principal)

    scan = await run_sync(submit, limiter=UPLOADS)
    response.headers["Location"] = scan_path(scan.id)
    response.headers["ETag"] = _etag(scan.version)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return scan


@router.get(
    "",
    response_model=ScanPage,
    dependencies=[SUBMITTER],
    responses=responses(problems.BadCursor, problems.InvalidRequest),
)
def list_scans(  # noqa: PLR0913, PLR0917 - one for each filter
    scans: Scans,
    principal: CurrentPrincipal,
    patient_id: UUID | None = None,
    state: ScanState | None = None,
    label: TumorClass | None = None,
    reference: Annotated[str | None, Query(max_length=128, json_schema_extra=STORABLE)] = None,
    created_after: Moment | None = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> Response:
    """Scans, newest first."""
    filters = ScanFilter(
        patient_id=str(patient_id) if patient_id else None,
        state=state,
        label=label,
        reference=_storable(reference),
        created_after=in_utc("created_after", created_after) if created_after else None,
    )
    page = scans.listed(filters, principal, cursor=cursor, limit=limit)
    return Response(page.json(), media_type="application/json")


@router.get(
    "/{scan_id}",
    response_model=ScanView,
    dependencies=[SUBMITTER],
    responses=SCAN
    | responses(problems.NotFound, problems.InvalidRequest, problems.TooManyRequests),
)
async def read_scan(
    request: Request,
    response: Response,
    scans: Scans,
    changes: LiveChanges,
    principal: CurrentPrincipal,
    scan_id: ScanId,
    wait: WaitQuery = 0,
    if_none_match: IfNoneMatch = None,
) -> Response | ScanView:
    """The scan as it is now, or at its next change when `wait` is given."""
    if not wait and if_none_match is None:
        return _answer(response, await run_sync(scans.get, scan_id, principal))
    version, state = await run_sync(scans.version, scan_id, principal)
    known = _known_version(if_none_match, version)
    if wait and version == known and not state_is_final(state):
        version, state = await read_when_changed(
            request,
            changes,
            Wait(principal, scan_id, wait),
            read=lambda: scans.version(scan_id, principal, anew=True),
            unchanged=lambda found: found[0] == known and not state_is_final(found[1]),
        )
    if if_none_match is not None and version == known:
        return Response(status_code=304, headers=_scan_headers(version, state))
    return _answer(response, await run_sync(scans.get, scan_id, principal))


@router.post(
    "/{scan_id}/cancel",
    dependencies=[SUBMITTER],
    responses=responses(problems.NotFound, problems.InvalidRequest),
)
def cancel_scan(scans: Scans, principal: CurrentPrincipal, scan_id: ScanId) -> ScanView:
    """Stop a scan; what was made stays."""
    return scans.cancel(scan_id, principal)


@router.delete(
    "/{scan_id}",
    status_code=204,
    dependencies=[SUBMITTER],
    responses=responses(problems.NotFound, problems.InvalidRequest),
)
def delete_scan(scans: Scans, principal: CurrentPrincipal, scan_id: ScanId) -> None:
    """Remove a scan and everything made from it."""
    scans.delete(scan_id, principal)


def _answer(response: Response, scan: ScanView) -> ScanView:
    response.headers.update(_scan_headers(scan.version, scan.state))
    return scan


def _scan_headers(version: int, state: str) -> dict[str, str]:
    headers = {"ETag": _etag(version)}
    if not state_is_final(state):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return headers


def state_is_final(state: str) -> bool:
    """Whether the scan is over."""
    return ScanState(state).final


def _etag(version: int) -> str:
    return f'"{version}"'


def _known_version(if_none_match: str | None, current: int) -> int | None:
    """The version the caller has; without a header, the present one, so that `wait` waits."""
    if if_none_match is None:
        return current
    return current if names_tag(if_none_match, _etag(current)) else None


def _storable(text: str | None) -> str | None:
    if text and "\x00" in text:
        raise problems.InvalidRequest("A filter may not hold a null character.")
    return text
