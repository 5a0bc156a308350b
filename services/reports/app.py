"""The HTTP surface: `POST /v1/render` and `/v1/render-summary`, health and metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from traceback import format_tb
from typing import TypedDict, TypeVar

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError

from neuroscan.contracts.base import Contract
from neuroscan.contracts.problems import (
    InvalidRequest,
    NeuroscanError,
    RequestTooLarge,
)
from neuroscan.contracts.report import ReportRequest, SummaryRequest
from neuroscan.serving import NO_TELEMETRY, Healthy, RequestLog, answer_with_problems
from neuroscan.telemetry import get_logger
from neuroscan.tracing import end_tracing
from services.reports.press import Kind, Metrics, Press
from services.reports.render import Renderer

# Three PNG pictures of the largest size that a scan may have, in base64.
MAX_BODY_BYTES = 192 * 1024 * 1024
WAITING_MAX = 32
# A summary of hundreds of files takes seconds; it has a line of its own, so that no scan waits.
SUMMARIES_WAITING_MAX = 4

log = get_logger(__name__)

BodyT = TypeVar("BodyT", bound=Contract)


class State(TypedDict):
    """What every request finds in `request.state`."""

    reports: Press[ReportRequest]
    summaries: Press[SummaryRequest]
    metrics: Metrics


def create_app() -> FastAPI:
    """The application; it listens once its fonts are loaded."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[State]:
        # One renderer a line: a renderer serves one thread at a time.
        one, many = Renderer(), Renderer()
        one.warm_up()
        many.warm_up()
        yield State(
            reports=Press(Kind.REPORT, one.render, metrics, WAITING_MAX),
            summaries=Press(Kind.SUMMARY, many.render_summary, metrics, SUMMARIES_WAITING_MAX),
            metrics=metrics,
        )
        end_tracing()

    app = FastAPI(
        title="NeuroScan reports",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry=NO_TELEMETRY,
    )
    app.add_middleware(RequestLog, on_done=metrics.request_done)
    answer_with_problems(app)
    app.add_api_route("/v1/render", render, methods=["POST"], response_class=Response)
    app.add_api_route(
        "/v1/render-summary", render_summary, methods=["POST"], response_class=Response
    )
    app.add_api_route("/health/live", live, methods=["GET"])
    app.add_api_route("/health/ready", ready, methods=["GET"])
    app.add_api_route("/metrics", metrics_page, methods=["GET"])
    return app


async def render(request: Request) -> Response:
    """A `ReportRequest` in, its PDF out; 422 for what can't be read, 413, and 503 when busy."""
    body = await _read(request, ReportRequest)
    press: Press[ReportRequest] = request.state.reports
    return await _print(press, body, request.state.metrics, scan_id=body.scan.id)


async def render_summary(request: Request) -> Response:
    """A `SummaryRequest` in, its PDF out; as `render` otherwise."""
    body = await _read(request, SummaryRequest)
    press: Press[SummaryRequest] = request.state.summaries
    return await _print(press, body, request.state.metrics, batch_id=body.batch_id)


async def _print(press: Press[BodyT], body: BodyT, metrics: Metrics, **about: str) -> Response:
    """Have it rendered, count it, and log it under its id."""
    count = metrics.rendered
    began = perf_counter()
    try:
        rendered = await press.print(body)
    except NeuroscanError as error:
        count.labels(press.kind, error.code).inc()
        raise
    except Exception as error:  # noqa: BLE001 - its message must not reach the server's log
        # It may hold a part of the request.
        count.labels(press.kind, NeuroscanError.code).inc()
        frames = "".join(format_tb(error.__traceback__))
        log.error(
            "report.crashed", kind=press.kind, error=type(error).__name__, frames=frames, **about
        )
        raise NeuroscanError from None
    count.labels(press.kind, "ok").inc()
    log.info(
        "report.rendered",
        kind=press.kind,
        pages=rendered.pages,
        bytes=len(rendered.content),
        elapsed_ms=round(1000 * (perf_counter() - began)),
        **about,
    )
    return Response(rendered.content, media_type="application/pdf")


async def live() -> Healthy:
    """The process answers."""
    return Healthy()


async def ready(request: Request) -> Healthy:
    """200, or 503 while the line of reports is full."""
    press: Press[ReportRequest] = request.state.reports
    press.check()
    return Healthy()


async def metrics_page(request: Request) -> Response:
    """Prometheus' text format."""
    return Response(generate_latest(request.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def _read(request: Request, kind: type[BodyT]) -> BodyT:
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
        return kind.model_validate_json(content)
    except ValidationError as error:
        # Places and reasons only: the values may name a person.
        reasons = [
            f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['type']}"
            for each in error.errors(include_input=False, include_url=False)[:10]
        ]
        raise InvalidRequest("; ".join(reasons)) from None
