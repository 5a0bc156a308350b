"""Until when a request waits that asks for a batch's next version."""

import time
from collections.abc import Awaitable, Callable

import anyio

_POLL_S = 0.5

Version = tuple[str, bool]


async def next_version(
    look: Callable[[], Awaitable[Version]],
    known: str,
    *,
    wait_s: float,
    given_up: Callable[[], Awaitable[bool]],
) -> Version:
    """The batch's version once it is not `known` any more, all of it is over, or time is up."""
    ends = time.monotonic() + wait_s
    version, over = await look()
    while version == known and not over and time.monotonic() < ends and not await given_up():
        await _change_or(min(_POLL_S, max(ends - time.monotonic(), 0)))
        version, over = await look()
    return version, over


async def _change_or(limit_s: float) -> None:
    """Come back when the batch may have changed, at the latest after so many seconds."""
    await anyio.sleep(limit_s)
