"""Server-sent events (HTML Living Standard, section 9.2) from a feed."""

import time
from collections.abc import AsyncIterator

import anyio
from anyio.to_thread import run_sync
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from neuroscan.contracts.problems import NotFound, Unauthenticated, Unavailable
from neuroscan.telemetry import get_logger
from services.gateway.events.changes import Watch
from services.gateway.events.feeds import Feed, Reading, Told

COMMENT_EVERY_S = 15.0
# Then the client comes back with its last event's id, and proves anew who it is.
LIFETIME_S = 900.0
# A burst of changes is read at once, not one by one.
_BREATH_S = 0.1

log = get_logger(__name__)


class EventStream(StreamingResponse):
    """An answer that goes on. FastAPI's own takes generators only, which can't answer 204."""

    media_type = "text/event-stream"


async def stream(
    feed: Feed,
    watch: Watch,
    begun: Reading,
    *,
    comment_every_s: float = COMMENT_EVERY_S,
    lifetime_s: float = LIFETIME_S,
) -> AsyncIterator[bytes]:
    """What `begun` holds, then what the feed brings, until it is over or the server ends."""
    ends = time.monotonic() + lifetime_s
    reading = begun
    spoke = time.monotonic()
    while True:
        for each in reading.told:
            yield _encoded(each)
        if reading.told:
            spoke = time.monotonic()
        if reading.over or time.monotonic() > ends:
            return
        if time.monotonic() - spoke >= comment_every_s:
            yield KEEPALIVE_COMMENT
            spoke = time.monotonic()
        if reading.told:
            await anyio.sleep(_BREATH_S)
        if not await watch.changed(spoke + comment_every_s - time.monotonic()):
            return
        try:
            reading = await run_sync(feed.read)
        except (NotFound, Unauthenticated):
            # Deleted meanwhile, or the caller's key is: who comes back gets the 404 or the 401.
            return
        except Unavailable as error:
            log.info("stream.waits", reason=error.detail)
            reading = Reading([], over=False)


def _encoded(told: Told) -> bytes:
    return format_sse_event(
        event=told.event, id=str(told.sequence), data_str=told.data.model_dump_json()
    )


def nothing_left(begun: Reading) -> bool:
    """Whether a client that came back has had everything, the end too."""
    return begun.over and not begun.told
