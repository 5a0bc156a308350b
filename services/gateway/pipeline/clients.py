"""The two services that the gateway calls over HTTP, each with any number of replicas."""

import httpx
from pydantic import ValidationError

from neuroscan.contracts.base import Contract
from neuroscan.contracts.model import ModelView
from neuroscan.contracts.problems import StageFailed, Unavailable
from neuroscan.contracts.report import ReportRequest, SummaryRequest
from neuroscan.contracts.results import InferenceResult
from neuroscan.settings import GatewaySettings
from neuroscan.telemetry import REQUEST_ID_HEADER
from neuroscan.tracing import Kind, note, span, trace_headers
from services.gateway.pipeline.breaker import Breaker, Dropped, NoAnswer
from services.gateway.pipeline.replicas import Replicas

_RETRYABLE = {429, 502, 503, 504}


class InferenceClient:
    """`slice.png` in, class and input check out."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._http = Replicas(settings.inference_url)
        self._breaker = Breaker("inference")

    def classify(self, slice_png: bytes, *, request_id: str, timeout_s: float) -> InferenceResult:
        """Classify a slice; `Unavailable` when there is no answer in time, `StageFailed` else.

        A service that has not answered lately is not asked: `Unavailable` at once.
        """
        with self._breaker.guarding():
            response = _post(
                self._http,
                "/v1/classify",
                content=slice_png,
                headers={"Content-Type": "image/png", REQUEST_ID_HEADER: request_id},
                timeout_s=timeout_s,
            )
        try:
            return InferenceResult.model_validate_json(response.content)
        except ValidationError as error:
            raise StageFailed("The inference service gave an answer that can't be read.") from error

    def ready(self, timeout_s: float = 1.0) -> bool:
        """Whether the service can answer."""
        return _ready(self._http, timeout_s)

    def facts(self, timeout_s: float = 1.0) -> ModelView | None:
        """The service's model and device; None when it does not answer."""
        try:
            response = self._http.get("/v1/model", timeout_s=timeout_s)
            return ModelView.model_validate_json(response.content) if response.is_success else None
        except (httpx.HTTPError, ValidationError):
            return None

    def close(self) -> None:
        """Release the connections."""
        self._http.close()


class ReportsClient:
    """A report request in, a PDF out."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._http = Replicas(settings.reports_url)

    def render(self, request: ReportRequest, *, request_id: str, timeout_s: float) -> bytes:
        """The PDF; `Unavailable` when there is no answer in time, `StageFailed` otherwise."""
        return self._print("/v1/render", request, request_id, timeout_s)

    def render_summary(
        self, request: SummaryRequest, *, request_id: str, timeout_s: float
    ) -> bytes:
        """A batch's summary; raises what `render` does."""
        return self._print("/v1/render-summary", request, request_id, timeout_s)

    def _print(self, path: str, request: Contract, request_id: str, timeout_s: float) -> bytes:
        response = _post(
            self._http,
            path,
            content=request.model_dump_json().encode(),
            headers={"Content-Type": "application/json", REQUEST_ID_HEADER: request_id},
            timeout_s=timeout_s,
        )
        if not response.content.startswith(b"%PDF-"):
            raise StageFailed("The reports service gave something that is no PDF.")
        return response.content

    def ready(self, timeout_s: float = 1.0) -> bool:
        """Whether the service can answer."""
        return _ready(self._http, timeout_s)

    def close(self) -> None:
        """Release the connections."""
        self._http.close()


def _post(
    http: Replicas, path: str, *, content: bytes, headers: dict[str, str], timeout_s: float
) -> httpx.Response:
    # Our own paths, which hold nothing of a caller's.
    with span(f"POST {path}", Kind.CLIENT, attributes={"http.request.method": "POST"}):
        try:
            response = http.post(
                path, content=content, headers={**headers, **trace_headers()}, timeout_s=timeout_s
            )
        except (httpx.RemoteProtocolError, httpx.ReadError) as error:
            raise Dropped(f"The service behind {path} ended over the request.") from error
        except httpx.HTTPError as error:
            raise NoAnswer(f"The service behind {path} does not answer.") from error
        status = response.status_code
        note(
            {"http.response.status_code": status},
            error=None if response.is_success else str(status),
        )
    if response.status_code in _RETRYABLE:
        raise Unavailable(f"The service behind {path} is busy.")
    if not response.is_success:
        raise StageFailed(f"The service behind {path} refused: {response.status_code}.")
    return response


def _ready(http: Replicas, timeout_s: float) -> bool:
    try:
        return http.get("/health/ready", timeout_s=timeout_s).is_success
    except httpx.HTTPError:
        return False
