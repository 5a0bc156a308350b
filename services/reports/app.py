"""The HTTP surface: `POST /v1/render`, health and metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from traceback import format_tb
from typing import TypedDict

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from pydantic import ValidationError

from neuroscan.contracts.problems import (
    InvalidRequest,
    NeuroscanError,
    Overloaded,
    RequestTooLarge,
)
from neuroscan.contracts.report import ReportRequest
from neuroscan.serving import Healthy, RequestLog, answer_with_problems
from neuroscan.telemetry import get_logger
from services.reports.render import Rendered, Renderer

# Three PNG pictures of the largest size that a scan may have, in base64.
MAX_BODY_BYTES = 192 * 1024 * 1024
WAITING_MAX = 32
_RETRY_AFTER_S = 5

log = get_logger(__name__)


class Metrics:
    """What /metrics shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "neuroscan_reports_requests",
            "Requests by path and status.",
            ["path", "status"],
            registry=self.registry,
        )
        self.rendered = Counter(
            "neuroscan_reports_rendered", "Reports by outcome.", ["outcome"], registry=self.registry
        )
        self.seconds = Histogram(
            "neuroscan_reports_render_seconds",
            "Time to render one report, without waiting.",
            buckets=(0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30),
            registry=self.registry,
        )
        self.waiting = Gauge(
            "neuroscan_reports_waiting",
            "Reports that wait or are being rendered.",
            registry=self.registry,
        )

    def request_done(self, path: str, status: int, _seconds: float) -> None:
        """A request was answered; `path` is a route, never a caller's string."""
        self._requests.labels(path=path, status=str(status)).inc()


class Press:
    """One renderer, one report at a time, a bounded line before it."""

    def __init__(self, renderer: Renderer, metrics: Metrics) -> None:
        self._renderer = renderer
        self._metrics = metrics
        self._one_at_a_time = CapacityLimiter(1)
        self._waiting = 0

    def check(self) -> None:
        """Raise Overloaded when the line is full."""
        if self._waiting >= WAITING_MAX:
            raise Overloaded(retry_after_s=_RETRY_AFTER_S)

    async def print(self, request: ReportRequest) -> Rendered:
        """The report, once it is its turn; raises Overloaded when the line is full."""
        self.check()
        self._waiting += 1
        self._metrics.waiting.set(self._waiting)
        try:
            return await to_thread.run_sync(self._timed, request, limiter=self._one_at_a_time)
        finally:
            self._waiting -= 1
            self._metrics.waiting.set(self._waiting)

    def _timed(self, request: ReportRequest) -> Rendered:
        with self._metrics.seconds.time():
            return self._renderer.render(request)


class State(TypedDict):
    """What every request finds in `request.state`."""

    press: Press
    metrics: Metrics


def create_app() -> FastAPI:
    """The application; it listens once its fonts are loaded."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        renderer = Renderer()
        renderer.warm_up()
        yield State(press=Press(renderer, metrics), metrics=metrics)

    app = FastAPI(
        title="NeuroScan reports",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.add_middleware(RequestLog, on_done=metrics.request_done)
    answer_with_problems(app)
    app.add_api_route("/v1/render", render, methods=["POST"], response_class=Response)
    app.add_api_route("/health/live", live, methods=["GET"])
    app.add_api_route("/health/ready", ready, methods=["GET"])
    app.add_api_route("/metrics", metrics_page, methods=["GET"])
    return app


async def render(request: Request) -> Response:
    """A `ReportRequest` in, its PDF out; 422 for what can't be read, 413, and 503 when busy."""
    body = await _read(request)
    press: Press = request.state.press
    metrics: Metrics = request.state.metrics
    began = perf_counter()
    try:
        rendered = await press.print(body)
    except NeuroscanError as error:
        metrics.rendered.labels(error.code).inc()
        raise
    except Exception as error:  # noqa: BLE001 - its message must not reach the server's log
        # It may hold a part of the request.
        metrics.rendered.labels(NeuroscanError.code).inc()
        frames = "".join(format_tb(error.__traceback__))
        log.error("report.crashed", scan_id=body.scan.id, error=type(error).__name__, frames=frames)
        raise NeuroscanError from None
    metrics.rendered.labels("ok").inc()
    log.info(
        "report.rendered",
        scan_id=body.scan.id,
        pages=rendered.pages,
        bytes=len(rendered.content),
        elapsed_ms=round(1000 * (perf_counter() - began)),
    )
    return Response(rendered.content, media_type="application/pdf")


async def live() -> Healthy:
    """The process answers."""
    return Healthy()


async def ready(request: Request) -> Healthy:
    """200, or 503 while the line is full."""
    press: Press = request.state.press
    press.check()
    return Healthy()


async def metrics_page(request: Request) -> Response:
    """Prometheus' text format."""
    return Response(generate_latest(request.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def _read(request: Request) -> ReportRequest:
    """The body, up to its limit; raises RequestTooLarge or InvalidRequest."""
    declared = request.headers.get("Content-Length", "0")
    if not declared.isdecimal() or int(declared) > MAX_BODY_BYTES:
        raise RequestTooLarge
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY_BYTES:
            raise RequestTooLarge
    try:
        return ReportRequest.model_validate_json(content)
    except ValidationError as error:
        # Places and reasons only: the values may name a person.
        reasons = [
            f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['type']}"
            for each in error.errors(include_input=False, include_url=False)[:10]
        ]
        raise InvalidRequest("; ".join(reasons)) from None
