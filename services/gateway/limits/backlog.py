"""New work is refused while what is there already waits too long."""

import time
from datetime import timedelta

from anyio.to_thread import run_sync
from sqlalchemy import Engine

from neuroscan.contracts.problems import Overloaded, Unavailable
from neuroscan.telemetry import get_logger
from services.gateway.db.session import one_statement
from services.gateway.db.tables import now
from services.gateway.limits import repository

LOOKED_AT_EVERY_S = 1.0
RETRY_AFTER_S = 30

log = get_logger(__name__)


class Backlog:
    """Looks once a second at most, whatever comes in. Event loop only."""

    def __init__(self, engine: Engine, longest: timedelta) -> None:
        self._engine = engine
        self._longest = longest
        self._looked_at = -LOOKED_AT_EVERY_S
        self._too_long = False

    async def check(self) -> None:
        """Raise `Overloaded` when a single scan has waited too long for a worker."""
        if time.monotonic() - self._looked_at >= LOOKED_AT_EVERY_S:
            # Noted before: one request looks, those beside it go by what was seen last.
            self._looked_at = time.monotonic()
            self._too_long = await run_sync(self._look)
        if self._too_long:
            raise Overloaded(retry_after_s=RETRY_AFTER_S)

    def _look(self) -> bool:
        try:
            with one_statement(self._engine) as session:
                too_long = repository.single_waits_since(session, now() - self._longest)
        except Unavailable:
            # The call itself says so better.
            return False
        if too_long and not self._too_long:
            log.warning("limits.overloaded", longest_s=self._longest.total_seconds())
        return too_long
