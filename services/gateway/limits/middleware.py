"""Turns away what is too much, before its body is read; right inside the authentication."""

from starlette.types import ASGIApp, Receive, Scope, Send

from neuroscan.contracts.problems import NeuroscanError
from neuroscan.serving import problem_response
from neuroscan.telemetry import get_logger
from services.gateway.auth.principal import Principal
from services.gateway.limits.limits import Limits

log = get_logger(__name__)


class Limited:
    """ASGI middleware; open paths, where nobody has said who calls, are not limited."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        principal: Principal | None = scope["state"].get("principal")
        limits: Limits = scope["state"]["limits"]
        try:
            if principal is not None:
                await limits.check(scope["method"], scope["path"], principal)
        except NeuroscanError as error:
            log.info("request.refused", code=error.code)
            await problem_response(error, scope["path"])(scope, receive, send)
            return
        await self._app(scope, receive, send)
