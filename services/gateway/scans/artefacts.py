"""Pictures, maps and PDFs of a scan, with ETag and byte ranges."""

import re
from dataclasses import dataclass
from enum import StrEnum

from fastapi import Request, Response
from sqlalchemy import Engine

from neuroscan.contracts.enums import ScanState, StageName
from neuroscan.contracts.problems import NotFound, NotReady, RangeNotSatisfiable
from neuroscan.contracts.results import ExplainResult
from neuroscan.serving import problem_response
from neuroscan.storage import ObjectNotFound, Storage
from services.gateway.audit import record as audit
from services.gateway.audit.record import ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.db.session import snapshot, transaction
from services.gateway.db.tables import Scan
from services.gateway.pipeline import keys
from services.gateway.scans.conditions import names_tag
from services.gateway.scans.repository import stages_of, visible
from services.gateway.scans.views import Stages, explain_result

# More digits than any file needs are no range that is understood, and so are ignored.
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")


class Artefact(StrEnum):
    """The files of a scan."""

    SLICE = "slice.png"
    THUMBNAIL = "thumbnail.webp"
    HEATMAP = "heatmap.png"
    OVERLAY = "overlay.png"
    CAM = "cam.npz"
    REPORT = "report.pdf"


MEDIA_TYPES = {
    Artefact.SLICE: "image/png",
    Artefact.THUMBNAIL: "image/webp",
    Artefact.HEATMAP: "image/png",
    Artefact.OVERLAY: "image/png",
    Artefact.CAM: "application/octet-stream",
    Artefact.REPORT: "application/pdf",
}


@dataclass(frozen=True)
class StoredArtefact:
    """An artefact's bytes and its entity tag."""

    content: bytes
    etag: str
    media_type: str


class NotStored(NotFound):
    """The object of an artefact is gone."""

    default_detail = "The artefact is not stored any more."


def read_artefact(
    engine: Engine,
    storage: Storage,
    scan_id: str,
    artefact: Artefact,
    by: Principal,
    if_none_match: str | None = None,
) -> StoredArtefact:
    """An artefact; `NotReady` while it is being made, `NotFound` when it never will be.

    One that the caller has already, by `if_none_match`, is neither read nor noted as read.
    """
    with transaction(engine) as session:
        snapshot(session)
        scan = visible(session, scan_id, by)
        key = _key(scan, stages_of(session, scan_id), artefact)
        over = ScanState(scan.state).final
        known = key is not None and names_tag(if_none_match, _etag(key))
        if not known:
            audit.note_reads(session, by, ObjectKind.SCAN, [scan_id])
    if key is not None and known:
        return StoredArtefact(b"", _etag(key), MEDIA_TYPES[artefact])
    return fetch(storage, key, artefact, over=over)


def fetch(storage: Storage, key: str | None, artefact: Artefact, *, over: bool) -> StoredArtefact:
    """The object of an artefact; without a key, `NotFound` when the work on it is over.

    Raises `NotReady` when it is not.
    """
    if key is None:
        if over:
            raise NotFound("The work ended before this was made.")
        raise NotReady(retry_after_s=1)
    try:
        content = storage.get(key)
    except ObjectNotFound as error:
        raise NotStored from error
    return StoredArtefact(content, _etag(key), MEDIA_TYPES[artefact])


def _etag(key: str) -> str:
    # Objects are never overwritten, so the key's own parts name this very content.
    return '"' + key.replace("/", "-") + '"'


def artefact_response(request: Request, stored: StoredArtefact) -> Response:
    """200, 206 for one range, 304 for a known tag, 416 for a range outside."""
    headers = {
        "ETag": stored.etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    if names_tag(request.headers.get("if-none-match"), stored.etag):
        return Response(status_code=304, headers=headers)
    size = len(stored.content)
    asked = _asked_range(request.headers.get("range", ""))
    unchanged = request.headers.get("if-range") in (None, stored.etag)
    if asked is None or not unchanged:
        return Response(stored.content, headers=headers, media_type=stored.media_type)
    first, last = _bounds(asked, size)
    if first > last:
        refusal = problem_response(RangeNotSatisfiable(), request.url.path)
        refusal.headers.update(headers | {"Content-Range": f"bytes */{size}"})
        return refusal
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    part = stored.content[first : last + 1]
    return Response(part, status_code=206, headers=headers, media_type=stored.media_type)


def _asked_range(header: str) -> re.Match[str] | None:
    """The one range that is asked for; None where none is, or an invalid one (RFC 9110, 14.1.2)."""
    asked = _RANGE.fullmatch(header)
    if asked is None or not any(asked.groups()):
        return None
    return None if all(asked.groups()) and int(asked[1]) > int(asked[2]) else asked


def _bounds(asked: re.Match[str], size: int) -> tuple[int, int]:
    start, end = asked.groups()
    if not start:
        return max(0, size - int(end)), size - 1 if int(end) else -1
    return int(start), min(int(end), size - 1) if end else size - 1


def _key(scan: Scan, stages: Stages, artefact: Artefact) -> str | None:
    match artefact:
        case Artefact.SLICE:
            return keys.slice_key(scan.id)
        case Artefact.THUMBNAIL:
            return keys.thumbnail_key(scan.id)
        case Artefact.REPORT:
            output = stages[StageName.REPORT].output
            return str(output["key"]) if output else None
        case Artefact.HEATMAP | Artefact.OVERLAY | Artefact.CAM:
            return explanation_key(explain_result(stages), artefact)


def explanation_key(explained: ExplainResult | None, artefact: Artefact) -> str | None:
    """The object of an explanation's artefact, once there is one."""
    if explained is None:
        return None
    name = artefact.value.split(".")[0]
    return str(getattr(explained.objects, name))
