"""A typed client of the public API (docs/api.md): synchronous, retrying, one pooled connection set.

ClientError
├── ApiProblem         the server answered with a problem; `.problem` holds it
├── NoAnswer           the server can't be reached
├── UnexpectedAnswer   what answered is not NeuroScan, or a version that this client can't read
└── NotFinished        a scan took longer than the caller wants to wait
"""

import random
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

import httpx
from pydantic import ValidationError

from neuroscan.contracts.access import KeyCreate, KeyList, LinkView, NewKey
from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import DisplayConvention, ScanState, TumorClass
from neuroscan.contracts.patient import PatientCreate, PatientPage, PatientSearch, PatientView
from neuroscan.contracts.problems import IdempotencyInProgress, Problem
from neuroscan.contracts.scan import ScanPage, ScanView

Artefact = Literal[
    "slice.png", "thumbnail.webp", "heatmap.png", "overlay.png", "cam.npz", "report.pdf"
]
ModelT = TypeVar("ModelT", bound=Contract)
FieldValue = str | int

# The server's own limit is 30 s; the rest is for the way there and back.
_LONGEST_POLL_S = 20
_UNCHANGED_PAUSE_S = 0.05
_REQUEST_LIMIT_S = 60.0
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")
_RETRY_FIRST_S = 0.2
_RETRY_LONGEST_S = 5.0
_RETRY_AFTER_LONGEST_S = 30.0
_TRY_AGAIN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class ClientError(Exception):
    """The root; `str()` is a sentence for a person."""


class ApiProblem(ClientError):
    """The server answered with a problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}. {problem.detail}")
        self.problem = problem


class NoAnswer(ClientError):
    """The server can't be reached."""


class UnexpectedAnswer(ClientError):
    """What answered is not NeuroScan, or a version that this client can't read."""


class NotFinished(ClientError):
    """A scan took longer than the caller wants to wait; `scan` is as it was last seen."""

    def __init__(self, scan: ScanView, timeout_s: float) -> None:
        super().__init__(f"The scan was still {scan.state} after {timeout_s:g} s.")
        self.scan = scan


class Client:
    """Calls a NeuroScan server; may be used from several threads. Methods raise `ClientError`.

    Calls that can be repeated without harm are: after a lost connection, 429 and 503, for up to
    `patience_s` seconds.
    """

    def __init__(self, url: str, key: str | None = None, *, patience_s: float = 60.0) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._url = url
        self._patience_s = patience_s
        self._http = httpx.Client(
            base_url=url,
            headers=headers,
            timeout=_REQUEST_LIMIT_S,
            # This machine is never behind a proxy, whatever the environment names.
            trust_env=httpx.URL(url).host not in _THIS_MACHINE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(  # noqa: PLR0913 - one for each field of the call
        self,
        image: Path | bytes,
        *,
        file_name: str | None = None,
        patient_id: str | None = None,
        reference: str | None = None,
        frame: int | None = None,
        acquired_at: datetime | None = None,
        pixel_spacing_mm: tuple[float, float] | None = None,
        display_convention: DisplayConvention | None = None,
        notes: str | None = None,
        idempotency_key: str | None = None,
    ) -> ScanView:
        """Send a slice (JPEG, PNG or DICOM); returns the scan as it is at once.

        `pixel_spacing_mm` is (row, column). Without `idempotency_key` the call makes its own, so
        that a repeated request never makes a second scan. Raises `OSError` for an unreadable
        path. The file's name is not sent unless given: it may name a person.
        """
        content = image if isinstance(image, bytes) else image.read_bytes()
        fields: Mapping[str, FieldValue | None] = {
            "patient_id": patient_id,
            "reference": reference,
            "frame": frame,
            "acquired_at": acquired_at.isoformat() if acquired_at else None,
            "pixel_spacing_mm": _spacing(pixel_spacing_mm),
            "display_convention": display_convention,
            "notes": notes,
        }
        response = self._send(
            "POST",
            "/v1/scans",
            data=_present(fields),
            files={"image": (file_name or "image", content, "application/octet-stream")},
            headers={"Idempotency-Key": idempotency_key or uuid.uuid4().hex},
        )
        return _parse(ScanView, response)

    def scan(self, scan_id: str) -> ScanView:
        """The scan as it is now."""
        return _parse(ScanView, self._send("GET", f"/v1/scans/{scan_id}"))

    def wait(self, scan_id: str, timeout_s: float = 120.0) -> ScanView:
        """The scan once its state is final; raises `NotFinished`."""
        give_up_at = time.monotonic() + timeout_s
        response = self._send("GET", f"/v1/scans/{scan_id}")
        while True:
            scan = _parse(ScanView, response)
            if scan.state.final:
                return scan
            response = self._changed(scan, response, give_up_at, timeout_s)

    def _changed(
        self, scan: ScanView, seen: httpx.Response, give_up_at: float, timeout_s: float
    ) -> httpx.Response:
        """The scan's next version."""
        while (left_s := give_up_at - time.monotonic()) > 0:
            response = self._send(
                "GET",
                f"/v1/scans/{scan.id}",
                params={"wait": str(max(1, min(_LONGEST_POLL_S, int(left_s))))},
                headers={"If-None-Match": seen.headers["ETag"]} if "ETag" in seen.headers else None,
            )
            if response.status_code != HTTPStatus.NOT_MODIFIED:
                return response
            # A server that is shutting down answers before the time is up.
            time.sleep(_UNCHANGED_PAUSE_S)
        raise NotFinished(scan, timeout_s)

    def scans(
        self,
        *,
        patient_id: str | None = None,
        state: ScanState | None = None,
        label: TumorClass | None = None,
        reference: str | None = None,
        created_after: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> ScanPage:
        """One page of scans, newest first."""
        filters: Mapping[str, FieldValue | None] = {
            "patient_id": patient_id,
            "state": state,
            "label": label,
            "reference": reference,
            "created_after": created_after.isoformat() if created_after else None,
            "limit": limit,
            "cursor": cursor,
        }
        return _parse(ScanPage, self._send("GET", "/v1/scans", params=_present(filters)))

    def cancel(self, scan_id: str) -> ScanView:
        """Stop a scan; what was made stays."""
        return _parse(ScanView, self._send("POST", f"/v1/scans/{scan_id}/cancel"))

    def delete(self, scan_id: str) -> None:
        """Delete a scan with its pictures."""
        self._send("DELETE", f"/v1/scans/{scan_id}")

    def artefact(self, scan_id: str, name: Artefact) -> bytes:
        """A picture, the raw map or the report."""
        return self._send("GET", f"/v1/scans/{scan_id}/{name}").content

    def create_patient(self, patient: PatientCreate) -> PatientView:
        """A new patient; a taken record number is the problem `duplicate_patient`."""
        response = self._send(
            "POST",
            "/v1/patients",
            json=patient.model_dump(mode="json"),
            headers={"Idempotency-Key": uuid.uuid4().hex},
        )
        return _parse(PatientView, response)

    def patient(self, patient_id: str) -> PatientView:
        """A patient."""
        return _parse(PatientView, self._send("GET", f"/v1/patients/{patient_id}"))

    def search_patients(self, search: PatientSearch) -> PatientPage:
        """Patients by part of the name or record number."""
        response = self._send("POST", "/v1/patients/search", json=search.model_dump(mode="json"))
        return _parse(PatientPage, response)

    def keys(self) -> KeyList:
        """Every API key, without secrets."""
        return _parse(KeyList, self._send("GET", "/v1/keys"))

    def create_key(self, new: KeyCreate) -> NewKey:
        """A new API key; its secret is in the answer, this once."""
        response = self._send(
            "POST",
            "/v1/keys",
            json=new.model_dump(mode="json"),
            headers={"Idempotency-Key": uuid.uuid4().hex},
        )
        return _parse(NewKey, response)

    def revoke_key(self, key_id: str) -> None:
        """End a key and its sessions at once."""
        self._send("DELETE", f"/v1/keys/{key_id}")

    def link(self) -> str:
        """A URL that signs a browser in as this client, once, within ten minutes.

        The code stands behind `#`, which browsers keep to themselves.
        """
        made = _parse(LinkView, self._send("POST", "/v1/links"))
        return f"{self._url.rstrip('/')}/#code={made.code}"

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        json: object = None,
    ) -> httpx.Response:
        """Send until there is an answer that counts; raises `ClientError`."""
        give_up_at = time.monotonic() + self._patience_s
        pause_s = _RETRY_FIRST_S
        while True:
            failure: httpx.TransportError | None = None
            response: httpx.Response | None = None
            try:
                response = self._http.request(
                    method,
                    path,
                    params=params,
                    headers=headers,
                    data=data,
                    files=files,
                    json=json,
                )
            except httpx.UnsupportedProtocol as error:
                raise NoAnswer(
                    f"{self._url} is no server's address; give one like http://host:8000."
                ) from error
            except httpx.TransportError as error:
                failure = error
            if response is not None and not _worth_another_try(response):
                return _checked(response)
            # Half a pause of jitter, so that many clients don't come back at once.
            wait_s = max(pause_s * random.uniform(0.5, 1), _retry_after_s(response))  # noqa: S311 - no secret
            if time.monotonic() + wait_s > give_up_at:
                if response is not None:
                    return _checked(response)
                raise NoAnswer(f"Nothing answers on {self._url} ({failure}).") from failure
            time.sleep(wait_s)
            pause_s = min(pause_s * 2, _RETRY_LONGEST_S)


def _spacing(spacing_mm: tuple[float, float] | None) -> str | None:
    return None if spacing_mm is None else f"{spacing_mm[0]!r},{spacing_mm[1]!r}"


def _present(values: Mapping[str, FieldValue | None]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}


def _worth_another_try(response: httpx.Response) -> bool:
    if response.status_code != HTTPStatus.CONFLICT:
        return response.status_code in _TRY_AGAIN
    # The first of two requests with one key is still running, or its server was killed.
    return _problem_code(response) == IdempotencyInProgress.code


def _problem_code(response: httpx.Response) -> str | None:
    try:
        return Problem.model_validate_json(response.content).code
    except ValidationError:
        return None


def _retry_after_s(response: httpx.Response | None) -> float:
    """What the server asks for; its other form, a date, is not used by NeuroScan."""
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return min(float(asked), _RETRY_AFTER_LONGEST_S) if asked.isdigit() else 0.0


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success or response.status_code == HTTPStatus.NOT_MODIFIED:
        return response
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError as error:
        raise UnexpectedAnswer(
            f"{response.url.copy_with(query=None)} answered {response.status_code} without "
            "saying why; is it a NeuroScan server?"
        ) from error
    raise ApiProblem(problem)


def _parse(kind: type[ModelT], response: httpx.Response) -> ModelT:
    try:
        return kind.model_validate_json(response.content)
    except ValidationError as error:
        raise UnexpectedAnswer(
            f"{response.url.copy_with(query=None)} answered in a form that this client can't "
            f"read ({error.error_count()} fields differ); do their versions match?"
        ) from error
