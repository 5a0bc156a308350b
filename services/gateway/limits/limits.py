"""Every limit that is checked before a request's body is read."""

import re

from sqlalchemy import Engine

from neuroscan.settings import BrokerSettings, GatewaySettings
from services.gateway.auth.principal import Principal
from services.gateway.limits.backlog import Backlog
from services.gateway.limits.rate import RequestRate

_BRINGS_WORK = re.compile(r"/v1/(scans|batches|batches/[^/]+/items)")


class Limits:
    """What a caller may send, and whether new work is taken."""

    def __init__(
        self, settings: GatewaySettings, broker_settings: BrokerSettings, engine: Engine
    ) -> None:
        self._rate = RequestRate(broker_settings, settings.requests_per_minute)
        self._backlog = Backlog(engine, settings.backlog_max)

    async def check(self, method: str, path: str, by: Principal) -> None:
        """Raise `TooManyRequests` or `Overloaded`."""
        await self._rate.count(by.id)
        if method == "POST" and _BRINGS_WORK.fullmatch(path):
            await self._backlog.check()

    async def close(self) -> None:
        """Release connections."""
        await self._rate.close()
