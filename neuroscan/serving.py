"""What the HTTP services share: request ids, problems as answers, how they are served.

Only services import this: it needs FastAPI and uvicorn, which the library itself does not.
"""

import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from traceback import format_tb
from typing import Literal

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from neuroscan.contracts.base import Contract
from neuroscan.contracts.problems import (
    BadRequest,
    MethodNotAllowed,
    NeuroscanError,
    NotFound,
    Unavailable,
)
from neuroscan.ids import new_id
from neuroscan.telemetry import REQUEST_ID_HEADER, get_logger
from neuroscan.tracing import Attributes, Kind, note, span

log = get_logger(__name__)

PROBLEM_MEDIA_TYPE = "application/problem+json"

RequestDone = Callable[[str, int, float], None]

# An id comes from outside and goes into the log: nothing that could forge a line.
_SOUND_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})


# FastAPI's own spans would carry addresses with their queries, its records the texts of errors.
NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}


class Healthy(Contract):
    """The answer of `/health/live` and `/health/ready`; a service that isn't ready says 503."""

    status: Literal["ok"] = "ok"


class _ServerSettings(BaseSettings):
    """`HOST`, `PORT`."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: int | None = Field(default=None, ge=0, le=65535)


def serve(app: FastAPI, *, default_port: int, drain_s: int) -> None:
    """Serve on `HOST` and `PORT` until SIGTERM or SIGINT.

    What is in work is finished first, for `drain_s` seconds at most.
    """
    settings = _ServerSettings()
    uvicorn.run(
        app,
        host=settings.host,
        port=default_port if settings.port is None else settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=drain_s,
    )


def request_id_of(headers: Headers) -> str:
    """The id that came with a request when it is sound, else a new one."""
    sent = headers.get(REQUEST_ID_HEADER, "")
    return sent if _SOUND_ID.fullmatch(sent) else new_id()


class RequestLog:
    """ASGI middleware: `X-Request-ID` is taken or made, bound to the log, and sent back.

    Each request but probes leaves one line. `on_done` gets its route (never a caller's string),
    status and seconds.
    """

    def __init__(self, app: ASGIApp, *, on_done: RequestDone) -> None:
        self._app = app
        self._on_done = on_done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(Headers(scope=scope))
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        began = time.perf_counter()
        with bound_contextvars(request_id=request_id), request_span(scope):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                seconds = time.perf_counter() - began
                path = getattr(scope.get("route"), "path", "other")
                self._on_done(path, status, seconds)
                note_answer(method_of(scope), path, status)
                if path not in _QUIET:
                    log.info(
                        "request",
                        method=method_of(scope),
                        path=path,
                        status=status,
                        elapsed_ms=round(seconds * 1000, 1),
                    )


def request_span(scope: Scope) -> AbstractContextManager[None]:
    """A span around a request, which goes on with the caller's trace; none around probes."""
    if scope["path"] in _QUIET:
        return nullcontext()
    return span(method_of(scope), Kind.SERVER, headers=Headers(scope=scope))


def method_of(scope: Scope) -> str:
    """A request's method as metrics, logs and spans may say it: a caller may send any word."""
    method: str = scope["method"]
    return method if method in _METHODS else "_OTHER"


def note_answer(method: str, route: str, status: int) -> None:
    """Say on a request's span what it was and how it ended; `route` is never a caller's string."""
    answered: Attributes = {
        "http.request.method": method,
        "http.route": route,
        "http.response.status_code": status,
    }
    failed = str(status) if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None
    note(answered, name=f"{method} {route}", error=failed)


def answer_with_problems(app: FastAPI) -> None:
    """Let every error of the application leave as problem details (RFC 9457)."""
    app.add_exception_handler(NeuroscanError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unforeseen)


def problem_response(error: NeuroscanError, path: str) -> JSONResponse:
    """The error as an answer to a request for `path`."""
    problem = error.problem(instance=path)
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s else {}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        problem.model_dump(mode="json"),
        status_code=problem.status,
        headers=headers,
        media_type=PROBLEM_MEDIA_TYPE,
    )


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, NeuroscanError)
    if error.status < 500 or isinstance(error, Unavailable):
        # By its code alone: the detail may repeat a part of the request.
        log.info("request.refused", code=error.code)
    return problem_response(error, request.url.path)


async def _http(request: Request, error: Exception) -> JSONResponse:
    """The framework's own refusals, in this project's form."""
    assert isinstance(error, HTTPException)
    kinds: dict[int, type[NeuroscanError]] = {404: NotFound, 405: MethodNotAllowed}
    return await _ours(request, kinds.get(error.status_code, BadRequest)())


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    # By type and place: an error's text may hold a part of the request.
    frames = "".join(format_tb(error.__traceback__))
    log.error("request.crashed", error=type(error).__name__, frames=frames)
    return await _ours(request, NeuroscanError())
