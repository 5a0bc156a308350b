"""Around every request: an id, one log line, a bound on the body, allowed hosts, same origin."""

import logging
import re
import time
import traceback
from http import HTTPStatus
from urllib.parse import urlsplit

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neuroscan.contracts.batch import BATCH_BYTES_MAX
from neuroscan.contracts.problems import (
    MAX_UPLOAD_BYTES,
    BadRequest,
    CrossOrigin,
    FileTooLarge,
    HostNotAllowed,
    NeuroscanError,
    RequestTooLarge,
    TooManyFiles,
)
from neuroscan.serving import (
    method_of,
    note_answer,
    problem_response,
    request_id_of,
    request_span,
)
from neuroscan.telemetry import REQUEST_ID_HEADER, get_logger
from services.gateway.boundary import boundary_of
from services.gateway.errors import BodyRefused

log = get_logger(__name__)

# The file, and room for the fields and the boundaries around it.
UPLOAD_BYTES_MAX = MAX_UPLOAD_BYTES + 64 * 1024
# All files of a batch, and room for the headers of each.
BATCH_REQUEST_BYTES_MAX = BATCH_BYTES_MAX + 1024 * 1024
# Far above a patient whose notes are all escapes; other calls have no body worth mentioning.
JSON_BYTES_MAX = 256 * 1024
_UPLOAD_PATH = "/v1/scans"
# What may follow a form's last boundary, and that boundary.
_EPILOGUE_BYTES_MAX = 1024
_BATCH_PATH = re.compile(r"/v1/batches(/[^/]+/items)?")
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_ID = re.compile(r"[0-9a-f-]{36}")

REQUESTS = Counter(
    "neuroscan_gateway_requests_total",
    "Requests by route and status",
    ["method", "route", "status"],
)
LATENCY = Histogram(
    "neuroscan_gateway_request_seconds", "Time to the last byte, by route", ["method", "route"]
)


class RequestEnvelope:
    """ASGI middleware; the outermost of the application."""

    def __init__(self, app: ASGIApp, allowed_hosts: tuple[str, ...]) -> None:
        self._app = app
        self._allowed_hosts = {host.lower() for host in allowed_hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = request_id_of(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        with structlog.contextvars.bound_contextvars(request_id=request_id), request_span(scope):
            await self._timed(scope, receive, send, headers, request_id)

    async def _timed(
        self, scope: Scope, receive: Receive, send: Send, headers: Headers, request_id: str
    ) -> None:
        began = time.perf_counter()
        status = 500
        started = False

        async def send_marked(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                started = True
                status = message["status"]
                out = MutableHeaders(scope=message)
                out[REQUEST_ID_HEADER] = request_id
                out.setdefault("X-Content-Type-Options", "nosniff")
                out.setdefault("Referrer-Policy", "no-referrer")
                out.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                await problem_response(refusal, scope["path"])(scope, receive, send_marked)
            else:
                await self._app(scope, _checked(receive, scope["path"], headers), send_marked)
        except Exception as error:
            # Logged by type and place: an error's text may hold what was sent, a name among it.
            log.error("request.crashed", error=type(error).__name__, place=_place(error))
            if started:
                raise
            await problem_response(NeuroscanError(), scope["path"])(scope, receive, send_marked)
        finally:
            elapsed = time.perf_counter() - began
            method, route = method_of(scope), _route(scope)
            REQUESTS.labels(method, route, str(status)).inc()
            LATENCY.labels(method, route).observe(elapsed)
            note_answer(method, route, status)
            # The path without its query. Probes come every second.
            level = logging.DEBUG if scope["path"].startswith("/health/") else logging.INFO
            log.log(
                level,
                "request",
                method=method,
                path=_loggable_path(scope, status),
                status=status,
                elapsed_ms=round(elapsed * 1000, 1),
            )

    def _refusal(self, scope: Scope, headers: Headers) -> NeuroscanError | None:
        host = headers.get("host", "")
        if _host_name(host) not in self._allowed_hosts:
            return HostNotAllowed()
        origin = headers.get("origin")
        if scope["method"] not in _SAFE_METHODS and origin and _site(origin) != host:
            return CrossOrigin()
        length = headers.get("content-length", "")
        limit, refusal = _body_limit(scope["path"])
        return refusal if length.isdecimal() and int(length) > limit else None


def _body_limit(path: str) -> tuple[int, NeuroscanError]:
    if path == _UPLOAD_PATH:
        return UPLOAD_BYTES_MAX, FileTooLarge()
    if _BATCH_PATH.fullmatch(path):
        return BATCH_REQUEST_BYTES_MAX, TooManyFiles()
    return JSON_BYTES_MAX, RequestTooLarge()


def _checked(receive: Receive, path: str, headers: Headers) -> Receive:
    """The body, refused where it is too long, or an upload's that ends before its form does.

    The form's parser drops an unfinished last part without a word: a scan of nobody, where that
    part names the patient.
    """
    limit, refusal = _body_limit(path)
    boundary = boundary_of(headers.get("content-type", "")) if path == _UPLOAD_PATH else b""
    end = b"--" + boundary + b"--" if boundary else b""
    received, tail = 0, b""

    async def receive_checked() -> Message:
        nonlocal received, tail
        message = await receive()
        if message["type"] != "http.request":
            return message
        body = message.get("body", b"")
        received += len(body)
        if received > limit:
            raise BodyRefused(refusal)
        tail = (tail + body[-_EPILOGUE_BYTES_MAX:])[-_EPILOGUE_BYTES_MAX:]
        if received and not message.get("more_body", False) and end not in tail:
            raise BodyRefused(BadRequest("The body ends before its last boundary."))
        return message

    return receive_checked


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unmatched")


def _loggable_path(scope: Scope, status: int) -> str:
    # Whatever was not answered may hold anything in its path, a name among it. Where the request
    # came through, its route has checked the path's parts; else only ids are known to name nobody.
    came_through = status < HTTPStatus.BAD_REQUEST
    holds_ids = all(_ID.fullmatch(str(value)) for value in scope.get("path_params", {}).values())
    return scope["path"] if "route" in scope and (came_through or holds_ids) else _route(scope)


def _site(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _host_name(host: str) -> str:
    name, _, port = host.rpartition(":")
    return (name if name and port.isdigit() else host).lower()
