"""Long polls: wait for what is read to change."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from anyio.to_thread import run_sync
from fastapi import Request

from services.gateway.auth.principal import Principal
from services.gateway.events.changes import Changes

ReadT = TypeVar("ReadT")


@dataclass(frozen=True)
class Wait:
    """Who waits for a change of which scan or batch, and how long."""

    by: Principal
    subject_id: str
    limit_s: float


async def read_when_changed(
    request: Request,
    changes: Changes,
    wait: Wait,
    *,
    read: Callable[[], ReadT],
    unchanged: Callable[[ReadT], bool],
) -> ReadT:
    """What `read` gives once it is not `unchanged` any more, or when the time is up.

    `read` runs in a thread, at once and after each change of the subject. Ends early with the
    server or the client. Raises what `read` does, and `TooManyRequests`.
    """
    ends = time.monotonic() + wait.limit_s
    with changes.watch(wait.subject_id, wait.by.id) as watch:
        while True:
            found = await run_sync(read)
            left_s = ends - time.monotonic()
            if not unchanged(found) or left_s <= 0 or await request.is_disconnected():
                return found
            if not await watch.changed(left_s):
                return found
