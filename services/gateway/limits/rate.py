"""Requests a minute and caller, counted in Redis so that every gateway counts together.

A caller's minute begins with the first request after the last minute's end. Without Redis nobody
is refused.
"""

import math
import time

from redis.asyncio import Redis
from redis.exceptions import RedisError

from neuroscan.contracts.problems import TooManyRequests
from neuroscan.settings import BrokerSettings
from neuroscan.telemetry import get_logger

WINDOW_S = 60
# Counting must not hold up what is counted.
ANSWER_LIMIT_S = 0.2
LEFT_ALONE_S = 1.0
_CONNECTIONS_MAX = 1000

log = get_logger(__name__)


class RequestRate:
    """Counts requests. Event loop only."""

    def __init__(self, settings: BrokerSettings, per_minute: int) -> None:
        self._per_minute = per_minute
        self._redis = Redis.from_url(
            settings.client_url,
            socket_timeout=ANSWER_LIMIT_S,
            socket_connect_timeout=ANSWER_LIMIT_S,
            max_connections=_CONNECTIONS_MAX,
        )
        self._left_alone_until = 0.0

    async def count(self, principal_id: str) -> None:
        """Count a request; raises `TooManyRequests` with the time until the caller's next minute.

        Counts nothing while Redis is away, and for a second after a call without an answer.
        """
        if time.monotonic() < self._left_alone_until:
            return
        try:
            count, left_ms = await self._counted(f"neuroscan:requests:{principal_id}")
        except (RedisError, OSError) as error:
            self._left_alone_until = time.monotonic() + LEFT_ALONE_S
            log.warning("limits.not_counted", error=type(error).__name__)
            return
        if count > self._per_minute:
            raise TooManyRequests(
                f"This caller sends more than {self._per_minute} requests a minute. "
                "Wait as Retry-After says.",
                retry_after_s=max(1, math.ceil(left_ms / 1000)),
            )

    async def _counted(self, key: str) -> tuple[int, int]:
        """The requests of this minute, this one among them, and its milliseconds left."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.set(key, 0, ex=WINDOW_S, nx=True)
            pipeline.incr(key)
            pipeline.pttl(key)
            _, count, left_ms = await pipeline.execute()
        return count, left_ms

    async def close(self) -> None:
        """Release the connections."""
        await self._redis.aclose()
