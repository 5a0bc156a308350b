"""`/v1/scans/{id}/events` and `/v1/batches/{id}/events`."""

from collections.abc import AsyncIterator
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Response

from neuroscan.contracts import problems
from services.gateway.auth.principal import SUBMITTER, CurrentPrincipal
from services.gateway.context import BatchId, Events, LiveChanges, ScanId
from services.gateway.errors import Responses, responses
from services.gateway.events.changes import Watch
from services.gateway.events.feeds import Feed
from services.gateway.events.stream import EventStream, nothing_left, stream

router = APIRouter(prefix="/v1", tags=["events"])

SEQUENCE_MAX = 2**63 - 1

_STREAM: Responses = {
    200: {"description": "The stream"},
    204: {"description": "The client has had everything, and nothing else will come"},
}
STREAM = _STREAM | responses(problems.NotFound, problems.InvalidRequest, problems.TooManyRequests)

LastEventId = Annotated[
    int | None,
    Header(ge=0, le=SEQUENCE_MAX, description="The `id` of the last event that the client has had"),
]


async def _scan_watch(
    changes: LiveChanges, principal: CurrentPrincipal, scan_id: ScanId
) -> AsyncIterator[Watch]:
    with changes.watch(scan_id, principal.id) as watch:
        yield watch


async def _batch_watch(
    changes: LiveChanges, principal: CurrentPrincipal, batch_id: BatchId
) -> AsyncIterator[Watch]:
    with changes.watch(batch_id, principal.id) as watch:
        yield watch


@router.get(
    "/scans/{scan_id}/events",
    response_class=EventStream,
    dependencies=[SUBMITTER],
    responses=STREAM,
)
async def scan_events(
    events: Events,
    principal: CurrentPrincipal,
    scan_id: ScanId,
    watch: Annotated[Watch, Depends(_scan_watch)],
    last_event_id: LastEventId = None,
) -> Response:
    """Server-sent events: a `snapshot` of the scan, each `change`, and the `end`."""
    return await _answer(events.of_scan(scan_id, principal), watch, last_event_id)


@router.get(
    "/batches/{batch_id}/events",
    response_class=EventStream,
    dependencies=[SUBMITTER],
    responses=STREAM,
)
async def batch_events(
    events: Events,
    principal: CurrentPrincipal,
    batch_id: BatchId,
    watch: Annotated[Watch, Depends(_batch_watch)],
    last_event_id: LastEventId = None,
) -> Response:
    """Server-sent events: a `snapshot` of the batch, each `change` of a scan, and the `end`."""
    return await _answer(events.of_batch(batch_id, principal), watch, last_event_id)


async def _answer(feed: Feed, watch: Watch, last_event_id: int | None) -> Response:
    begun = await run_sync(feed.begin, last_event_id)
    if nothing_left(begun):
        return Response(status_code=204)
    # A proxy in front that collects the stream would keep it from its reader.
    headers = {"X-Accel-Buffering": "no"}
    return EventStream(stream(feed, watch, begun), headers=headers)
