"""What anybody may call holds no thread that others need, however many call."""

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import httpx
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request, Response

from neuroscan.contracts.health import Health, Part, Readiness
from neuroscan.contracts.problems import Unauthenticated
from services.gateway.auth import endpoints as access
from services.gateway.errors import install
from services.gateway.health import endpoints as health
from services.gateway.health.checks import HealthChecks
from services.gateway.pipeline.assembly import Pipeline

CALLERS = 60
Call = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


class Provider:
    """Services that answer only when the test lets them."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.asked = 0

    def open_with_token(self, text: str) -> None:
        self.asked += 1
        self.go.wait(40)
        raise Unauthenticated(f"{len(text)} characters are no token.")


class SlowChecks(HealthChecks):
    """Checks of parts that hang, all of them in `_asked`."""

    def __init__(self, provider: Provider) -> None:
        super().__init__(cast("Pipeline", None), cast("Any", None))
        self._provider = provider

    def _asked(self) -> Readiness:
        self._provider.asked += 1
        self._provider.go.wait(20)
        self._shared_until = time.monotonic() + 60
        return Readiness(status=Health.DOWN, parts={"postgres": Part(ok=False)})


@asynccontextmanager
async def gateway(**services: object) -> AsyncIterator[httpx.AsyncClient]:
    """The two routers over the test's own services."""
    app = FastAPI()
    install(app)
    app.include_router(access.router)
    app.include_router(health.router)

    @app.middleware("http")
    async def with_services(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        for name, service in services.items():
            setattr(request.state, name, service)
        return await call_next(request)

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        yield client


async def held_by(call: Call, provider: Provider, **services: object) -> tuple[int, list[int]]:
    """How many of the common threads callers hold while they wait, and how each was answered."""
    statuses: list[int] = []

    async def one(client: httpx.AsyncClient) -> None:
        statuses.append((await call(client)).status_code)

    async with gateway(**services) as client, anyio.create_task_group() as tasks:
        for _ in range(CALLERS):
            tasks.start_soon(one, client)
        with anyio.move_on_after(20):
            while not provider.asked:
                await anyio.sleep(0.05)
        await anyio.sleep(1)
        threads = current_default_thread_limiter()
        # Each takes one for a moment, when it is let in.
        with anyio.move_on_after(8):
            while threads.borrowed_tokens:
                await anyio.sleep(0.05)
        held = threads.borrowed_tokens
        provider.go.set()
    return int(held), statuses


def test_tokens_that_wait_for_their_provider_leave_threads_to_others() -> None:
    provider = Provider()

    async def call(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/v1/session", json={"token": "t" * 40})

    async def measure() -> tuple[int, list[int]]:
        return await held_by(call, provider, access=provider)

    assert anyio.run(measure) == (0, [401] * CALLERS)


def test_who_asks_for_readiness_waits_without_a_thread_for_one_answer() -> None:
    provider = Provider()
    checks = SlowChecks(provider)

    async def call(client: httpx.AsyncClient) -> httpx.Response:
        return await client.get("/health/ready")

    async def measure() -> tuple[int, list[int]]:
        return await held_by(call, provider, health=checks)

    assert anyio.run(measure) == (0, [503] * CALLERS)
    assert provider.asked == 1
    checks.close()
