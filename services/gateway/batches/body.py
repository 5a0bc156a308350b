"""The body of an upload as it comes, and how many come at the same time."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import anyio
from anyio import CapacityLimiter
from fastapi import Request

from neuroscan.contracts.problems import BadRequest, Overloaded
from services.gateway.batches.upload import BatchUpload

# Each holds two files in memory at most; another waits a while and is then asked to come back.
UPLOADS_AT_ONCE = CapacityLimiter(8)
_UPLOADS_WAIT_S = 5.0
# A sender from whom nothing comes for so long is taken for gone.
_SILENCE_LIMIT_S = 60.0


@asynccontextmanager
async def turn(upload: BatchUpload) -> AsyncIterator[None]:
    """One of the uploads that may go on at the same time; raises `Overloaded`."""
    try:
        with anyio.fail_after(_UPLOADS_WAIT_S):
            await UPLOADS_AT_ONCE.acquire_on_behalf_of(upload)
    except TimeoutError as error:
        raise Overloaded(
            "Too many batches are being sent at present. Try again in a while.",
            retry_after_s=int(2 * _UPLOADS_WAIT_S),
        ) from error
    try:
        yield
    finally:
        UPLOADS_AT_ONCE.release_on_behalf_of(upload)


async def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes; raises `ClientDisconnect`, and `BadRequest` when nothing comes."""
    async with aclosing(request.stream()) as stream:
        while True:
            try:
                with anyio.fail_after(_SILENCE_LIMIT_S):
                    piece = await anext(stream, None)
            except TimeoutError as error:
                raise BadRequest(
                    f"Nothing came for {_SILENCE_LIMIT_S:.0f} s. What had come stays; send the "
                    "request again with the same Idempotency-Key."
                ) from error
            if piece is None:
                return
            yield piece
