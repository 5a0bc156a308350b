"""Every error that a caller can meet, as one tree, and its RFC 9457 form.

NeuroscanError
├── BadImage                 the upload can't be read as one slice
│   ├── EmptyFile  TruncatedImage  NotAnImage  FormatMismatch  FileTooLarge  ImageTooLarge
│   ├── FrameRequired  FrameOutOfRange  DicomWithoutPixels  UnsupportedTransferSyntax
│   └── DecodeLimit  ImageTooSmall
├── BadRequest               the rest of the request is off
│   ├── InvalidRequest  BadCursor  PatientMismatch  UnknownPatient  RequestTooLarge
│   ├── HostNotAllowed  CrossOrigin  RangeNotSatisfiable  TooManyFiles  AddressRefused
│   └── Unauthenticated  Forbidden  CsrfRejected  TooManyRequests
├── NotFound  Conflict …     the state of things does not allow it
└── Unavailable              a part of the system can't answer now; worth another try
"""

from http import HTTPStatus
from typing import Any, ClassVar

from neuroscan.contracts.base import Contract

MAX_UPLOAD_BYTES = 32 * 1024 * 1024
MAX_PIXELS = 32_000_000
# Scaling a side to the network's input takes memory that grows with the side, not with the area.
MAX_SIDE_PX = 8192


class Problem(Contract):
    """RFC 9457 problem details, with a stable `code` for programs."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    code: str


class NeuroscanError(Exception):
    """The root. `detail` says what happened and what to do; the class gives code and status."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = HTTPStatus.INTERNAL_SERVER_ERROR
    title: ClassVar[str] = "Something went wrong on our side"
    default_detail: ClassVar[str] = (
        "The error was logged. Try again; if it stays, tell the operator."
    )

    def __init__(self, detail: str | None = None, *, retry_after_s: int | None = None) -> None:
        super().__init__(detail or self.default_detail)
        self.retry_after_s = retry_after_s

    @property
    def detail(self) -> str:
        """The sentence for the caller."""
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross the boundary of the decoding processes.
        return _rebuild, (type(self), self.detail, self.retry_after_s)

    def problem(self, instance: str | None = None) -> Problem:
        """The error as problem details."""
        return Problem(
            type=f"urn:neuroscan:problem:{self.code}",
            title=self.title,
            status=int(self.status),
            detail=self.detail,
            instance=instance,
            code=self.code,
        )


def _rebuild(kind: type[NeuroscanError], detail: str, retry_after_s: int | None) -> NeuroscanError:
    return kind(detail, retry_after_s=retry_after_s)


class BadImage(NeuroscanError):
    """The upload can't be read as one slice."""

    code = "bad_image"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "The file can't be read as a slice"
    default_detail = "The file can't be read as an image. Export it again and retry."


class EmptyFile(BadImage):
    code = "empty_file"
    title = "The file is empty"
    default_detail = "The file has no bytes. Export it again and retry."


class TruncatedImage(BadImage):
    code = "truncated_image"
    title = "The file ends too early"
    default_detail = "The file ends before its picture does. Export or send it again."


class NotAnImage(BadImage):
    code = "not_an_image"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    title = "Not a picture that can be read"
    default_detail = "Only JPEG, PNG and DICOM are read. Export the slice as one of them."


class FormatMismatch(BadImage):
    code = "format_mismatch"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    title = "The content is not what the file says it is"
    default_detail = (
        "The declared type and the first bytes disagree. Send the file under its own type."
    )


class FileTooLarge(BadImage):
    code = "file_too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "The file is too large"
    default_detail = "A file may have at most 32 MiB. Send a single slice."


class ImageTooLarge(BadImage):
    code = "image_too_large"
    title = "The picture has too many pixels"
    default_detail = (
        "A picture may have at most 32 megapixels, and 8192 pixels on a side. "
        "Send it at a smaller size."
    )


class ImageTooSmall(BadImage):
    code = "image_too_small"
    title = "The picture has too few pixels"
    default_detail = "A slice needs at least 32 pixels on each side. Send it at its own size."


class DecodeLimit(BadImage):
    code = "decode_limit"
    title = "The file takes too much to decode"
    default_detail = (
        "Decoding went over its limit of time or memory. Export the slice uncompressed."
    )


class FrameRequired(BadImage):
    code = "frame_required"
    title = "Which frame?"
    default_detail = "The file has several frames. Choose one with the field `frame` (0-based)."


class FrameOutOfRange(BadImage):
    code = "frame_out_of_range"
    title = "There is no such frame"
    default_detail = "The chosen frame is not in the file. Frames count from 0."


class DicomWithoutPixels(BadImage):
    code = "dicom_without_pixels"
    title = "The DICOM file has no picture"
    default_detail = "The DICOM object holds no pixel data. Send an image object."


class UnsupportedTransferSyntax(BadImage):
    code = "unsupported_transfer_syntax"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    title = "The DICOM compression is not supported"
    default_detail = "This transfer syntax can't be decoded. Export as Explicit VR Little Endian."


class BadRequest(NeuroscanError):
    """Something beside the picture is off in the request."""

    code = "bad_request"
    status = HTTPStatus.BAD_REQUEST
    title = "The request is off"
    default_detail = "The request can't be understood. See /docs."


class InvalidRequest(BadRequest):
    code = "invalid_request"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "A field is missing or off"
    default_detail = "A field of the request is missing or has a value that is not allowed."


class RequestTooLarge(BadRequest):
    code = "request_too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "The request is too large"
    default_detail = "The request is larger than this call takes."


class BadCursor(BadRequest):
    code = "bad_cursor"
    title = "The cursor is not valid"
    default_detail = (
        "Use `next_cursor` as it was given, with the same filters, or begin without one."
    )


class PatientMismatch(BadRequest):
    code = "patient_mismatch"
    status = HTTPStatus.CONFLICT
    title = "The file belongs to another patient"
    default_detail = (
        "The DICOM PatientID is not the chosen patient's medical record number. Check the choice."
    )


class UnknownPatient(BadRequest):
    code = "unknown_patient"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "There is no such patient"
    default_detail = "No patient has this id. Create the patient first, or leave the field out."


class HostNotAllowed(BadRequest):
    code = "host_not_allowed"
    title = "This host name is not served"
    default_detail = "The Host header is not in the allow-list of this installation."


class CrossOrigin(BadRequest):
    code = "cross_origin"
    status = HTTPStatus.FORBIDDEN
    title = "The request comes from another site"
    default_detail = "A page of another origin may not change anything here."


class RangeNotSatisfiable(BadRequest):
    code = "range_not_satisfiable"
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    title = "The range lies outside the file"
    default_detail = "Ask for bytes that the file has; its size stands in Content-Range."


class TooManyFiles(BadRequest):
    code = "too_many_files"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "The batch is too large"
    default_detail = "A batch takes at most 500 files and 2 GiB. Send the rest in another batch."


class AddressRefused(BadRequest):
    code = "address_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    title = "This address may not be called"
    default_detail = "Webhooks go to public addresses by HTTPS. The operator can allow others."


class Unauthenticated(BadRequest):
    code = "unauthenticated"
    status = HTTPStatus.UNAUTHORIZED
    title = "Who is calling?"
    default_detail = (
        "Send a valid API key as `Authorization: Bearer <key>`, or sign in on the page again."
    )


class Forbidden(BadRequest):
    code = "forbidden"
    status = HTTPStatus.FORBIDDEN
    title = "This caller may not do that"
    default_detail = "The caller's role does not include this call. Ask an administrator."


class CsrfRejected(BadRequest):
    code = "csrf_rejected"
    status = HTTPStatus.FORBIDDEN
    title = "The page's token is missing or old"
    default_detail = (
        "A change that is made with the session's cookie needs the page's own `Origin` and the "
        "session's `X-CSRF-Token`. Reload the page."
    )


class TooManyRequests(BadRequest):
    code = "too_many_requests"
    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Too many requests"
    default_detail = (
        "This caller sends more than the installation allows. Wait as Retry-After says."
    )


class NotFound(NeuroscanError):
    code = "not_found"
    status = HTTPStatus.NOT_FOUND
    title = "There is no such thing"
    default_detail = "Nothing has this id. It may have been deleted."


class MethodNotAllowed(NeuroscanError):
    code = "method_not_allowed"
    status = HTTPStatus.METHOD_NOT_ALLOWED
    title = "This path does not take that method"
    default_detail = "See /docs for the methods that this path takes."


class Conflict(NeuroscanError):
    code = "conflict"
    status = HTTPStatus.CONFLICT
    title = "The present state does not allow this"
    default_detail = "Read the object again; its state has changed."


class NotReady(Conflict):
    code = "not_ready"
    title = "It is still being made"
    default_detail = "The artefact is not there yet. Try again when the scan has come further."


class DuplicatePatient(Conflict):
    code = "duplicate_patient"
    title = "The medical record number is taken"
    default_detail = "Another patient has this medical record number. Search for it."


class TooManyWebhooks(Conflict):
    code = "too_many_webhooks"
    title = "The caller has too many webhooks"
    default_detail = "A caller may have 20 webhooks. Delete one that is not needed."


class IdempotencyConflict(Conflict):
    code = "idempotency_conflict"
    title = "The idempotency key was used for something else"
    default_detail = "The same key came with other content before. Use a new key for a new request."


class IdempotencyInProgress(Conflict):
    code = "idempotency_in_progress"
    title = "The first request with this key is still running"
    default_detail = "Wait a moment and send the same request again."


class Unavailable(NeuroscanError):
    """A part of the system can't answer now; the same request may succeed later."""

    code = "unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Not available at present"
    default_detail = "A part of the system does not answer. Try again in a few seconds."


class Overloaded(Unavailable):
    code = "overloaded"
    title = "Too much work is waiting"
    default_detail = "The queue is full. Try again after the time in Retry-After."


class StageFailed(NeuroscanError):
    code = "stage_failed"
    title = "A stage of the scan failed"
    default_detail = "The stage failed three times. What was made before it stays readable."


class StageTimedOut(StageFailed):
    code = "stage_timed_out"
    title = "A stage did not come back"
    default_detail = "The worker took the stage and did not report in time."
