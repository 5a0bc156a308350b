"""Who calls, found before the body of the request is read.

A key in `Authorization: Bearer`, or the page's cookie. A cookie alone changes nothing: that takes
the page's own `Origin` and the session's token too.
"""

from http.cookies import CookieError, SimpleCookie

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from neuroscan.contracts.problems import CsrfRejected, NeuroscanError, Unauthenticated
from neuroscan.serving import problem_response
from services.gateway.auth.principal import Principal
from services.gateway.auth.secrets import same
from services.gateway.auth.service import KEY_PREFIX, AccessService

COOKIE = "neuroscan_session"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# What anybody may call, so that nobody needs a key to see whether the system lives, to read the
# API's documents, and to sign in. Everything else is refused before its body is read.
OPEN_PATHS = frozenset(
    {
        "/",
        "/docs",
        "/docs/oauth2-redirect",
        "/favicon.ico",
        "/health/live",
        "/health/ready",
        "/v1/openapi.json",
        "/v1/session",
    }
)
OPEN_FOLDERS = ("/static-offline-docs/", "/web/")
# Tokens may have to wait for their identity provider; keys and sessions must not wait with them.
WITH_TOKENS = CapacityLimiter(8)


class Authentication:
    """ASGI middleware: `request.state.principal` is the caller, or None on an open path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        access: AccessService = scope["state"]["access"]
        try:
            principal = await _caller(scope, access)
        except NeuroscanError as error:
            await problem_response(error, scope["path"])(scope, receive, send)
            return
        scope["state"]["principal"] = principal
        with bound_contextvars(**({"principal": principal.id} if principal else {})):
            await self._app(scope, receive, send)


async def _caller(scope: Scope, access: AccessService) -> Principal | None:
    headers = Headers(scope=scope)
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    if scheme:
        if scheme.lower() != "bearer":
            raise Unauthenticated
        return await run_sync(
            access.by_bearer, credential.strip(), limiter=_threads_for(credential.strip())
        )
    token = session_token(headers)
    if is_open(scope["path"]):
        # Signing in and out make do with the same origin, which every request has to have.
        return None
    if token is None:
        raise Unauthenticated
    principal = await run_sync(access.by_cookie, token)
    if scope["method"] not in SAFE_METHODS:
        sent = headers.get(CSRF_HEADER, "")
        if "origin" not in headers or not same(sent, access.csrf_token(token)):
            raise CsrfRejected
    return principal


def _threads_for(credential: str) -> CapacityLimiter | None:
    return None if credential.startswith(f"{KEY_PREFIX}_") else WITH_TOKENS


def is_open(path: str) -> bool:
    """Whether anybody may call the path."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def session_token(headers: Headers) -> str | None:
    """The session's token from the cookie that the page sends."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None
