"""Those who wait are woken by commits, whatever becomes of the connection that listens."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
import pytest
from anyio.to_thread import run_sync
from fastapi import Request
from sqlalchemy import Engine, QueuePool, event

from neuroscan.contracts.enums import Role
from neuroscan.contracts.problems import TooManyRequests
from services.gateway.auth.principal import Principal
from services.gateway.db.session import transaction
from services.gateway.events.changes import READ_AGAIN_S, Changes
from services.gateway.events.polling import Wait, read_when_changed
from services.gateway.pipeline import steering
from services.gateway.scans.repository import delete_scan, version_of
from tests.integration.gateway.ledger import add_scan

BY = Principal("key:test", Role.SUBMITTER)
# Whoever is not woken reads again only after `READ_AGAIN_S`.
WOKEN_S = READ_AGAIN_S / 2
ResultT = TypeVar("ResultT")


def with_changes(
    database_url: str, work: Callable[[Changes], Awaitable[ResultT]], **limits: int
) -> ResultT:
    """Run `work` beside a hub that listens."""

    async def run() -> ResultT:
        changes = Changes(database_url, lambda: False, **limits)
        changes.start()
        try:
            await wait_listening(database_url)
            return await work(changes)
        finally:
            await changes.close()

    return asyncio.run(run())


async def wait_listening(database_url: str, but: int | None = None) -> int:
    """The process id of the connection that listens, another than `but`."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'neuroscan-changes'"
    query += " AND datname = current_database() AND query ILIKE 'LISTEN%%' AND pid <> %s"
    ends = time.monotonic() + 10
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        while time.monotonic() < ends:
            found = connection.execute(query, (but or 0,)).fetchone()
            if found:
                return int(found[0])
            await asyncio.sleep(0.02)
    raise AssertionError("nothing listens")


def cancel(engine: Engine, scan_id: str) -> None:
    with transaction(engine) as session:
        steering.cancel(session, scan_id)


def test_a_commit_wakes_whoever_waits_for_the_scan(engine: Engine, database_url: str) -> None:
    scan_id, other = add_scan(engine), add_scan(engine)

    async def work(changes: Changes) -> tuple[float, bool]:
        with changes.watch(scan_id, "a") as watch, changes.watch(other, "a") as beside:
            waiting = asyncio.create_task(watch.changed(30))
            unwoken = asyncio.create_task(beside.changed(30))
            await asyncio.sleep(0.1)
            await run_sync(cancel, engine, scan_id)
            committed = time.monotonic()
            await waiting
            elapsed_s = time.monotonic() - committed
            return elapsed_s, unwoken.done()

    elapsed_s, other_woken = with_changes(database_url, work)
    assert elapsed_s < WOKEN_S
    assert not other_woken


def test_a_deletion_wakes_too(engine: Engine, database_url: str) -> None:
    scan_id = add_scan(engine)

    def delete() -> None:
        with transaction(engine) as session:
            delete_scan(session, scan_id)

    async def work(changes: Changes) -> float:
        with changes.watch(scan_id, "a") as watch:
            waiting = asyncio.create_task(watch.changed(30))
            await run_sync(delete)
            committed = time.monotonic()
            await waiting
            return time.monotonic() - committed

    assert with_changes(database_url, work) < WOKEN_S


def test_a_change_between_watching_and_waiting_is_not_lost(
    engine: Engine, database_url: str
) -> None:
    scan_id = add_scan(engine)

    async def work(changes: Changes) -> float:
        with changes.watch(scan_id, "a") as watch:
            await run_sync(cancel, engine, scan_id)
            await asyncio.sleep(0.3)
            began = time.monotonic()
            await watch.changed(30)
            return time.monotonic() - began

    assert with_changes(database_url, work) < WOKEN_S


def test_a_killed_connection_is_opened_again(engine: Engine, database_url: str) -> None:
    scan_id = add_scan(engine)

    async def work(changes: Changes) -> tuple[float, float]:
        first = await wait_listening(database_url)
        with changes.watch(scan_id, "a") as watch:
            with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
                connection.execute("SELECT pg_terminate_backend(%s)", (first,))
            began = time.monotonic()
            await wait_listening(database_url, but=first)
            back_s = time.monotonic() - began
            # Whatever happened meanwhile is looked for.
            await watch.changed(30)
            waiting = asyncio.create_task(watch.changed(30))
            await run_sync(cancel, engine, scan_id)
            committed = time.monotonic()
            await waiting
            return back_s, time.monotonic() - committed

    back_s, woken_s = with_changes(database_url, work)
    assert back_s < READ_AGAIN_S
    assert woken_s < WOKEN_S


def test_without_a_connection_it_is_read_every_two_seconds(engine: Engine) -> None:
    scan_id = add_scan(engine)

    async def work() -> float:
        changes = Changes("postgresql+psycopg://nobody@127.0.0.1:1/none", lambda: False)
        changes.start()
        waiting = asyncio.create_task(wait_for_version(changes, engine, scan_id, 30))
        await asyncio.sleep(0.2)
        await run_sync(cancel, engine, scan_id)
        committed = time.monotonic()
        assert await waiting == (2, "canceled")
        await changes.close()
        return time.monotonic() - committed

    assert asyncio.run(work()) < READ_AGAIN_S + 1


async def wait_for_version(
    changes: Changes, engine: Engine, scan_id: str, limit_s: float
) -> tuple[int, str] | None:
    """A long poll for the second version."""

    def read() -> tuple[int, str] | None:
        with transaction(engine) as session:
            return version_of(session, scan_id, BY)

    async def never() -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    return await read_when_changed(
        Request({"type": "http"}, never),
        changes,
        Wait(BY, scan_id, limit_s),
        read=read,
        unchanged=lambda found: found is not None and found[0] == 1,
    )


def test_fifty_who_wait_hold_no_connection(engine: Engine, database_url: str) -> None:
    scan_id = add_scan(engine)
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    checkouts: list[object] = []

    def count(*of: object) -> None:
        checkouts.append(of)

    async def work(changes: Changes) -> tuple[int, float, list[tuple[int, str] | None]]:
        waiting = [
            asyncio.create_task(wait_for_version(changes, engine, scan_id, 30)) for _ in range(50)
        ]
        # Each has read once. Who held a connection while waiting would have it for 30 s.
        ends = time.monotonic() + 20
        while time.monotonic() < ends and (len(checkouts) < 50 or pool.checkedout()):
            await asyncio.sleep(0.01)
        held = pool.checkedout()
        assert not any(each.done() for each in waiting)
        await run_sync(cancel, engine, scan_id)
        committed = time.monotonic()
        found = await asyncio.gather(*waiting)
        return held, time.monotonic() - committed, found

    event.listen(pool, "checkout", count)
    try:
        held, elapsed_s, found = with_changes(database_url, work)
    finally:
        event.remove(pool, "checkout", count)
    assert held == 0
    assert elapsed_s < WOKEN_S
    assert found == [(2, "canceled")] * 50


def test_one_caller_can_not_hold_every_wait(database_url: str, engine: Engine) -> None:
    async def work(changes: Changes) -> None:
        with changes.watch("x", "a"), changes.watch("y", "a"):
            with pytest.raises(TooManyRequests) as refused, changes.watch("z", "a"):
                pass
            assert refused.value.retry_after_s == 1
            with changes.watch("z", "b"):
                pass
        with changes.watch("z", "a"):
            pass

    with_changes(database_url, work, waits_max=2)


def test_waits_end_with_the_server(engine: Engine, database_url: str) -> None:
    scan_id = add_scan(engine)
    stopping = False

    async def work() -> tuple[float, float]:
        nonlocal stopping
        changes = Changes(database_url, lambda: stopping)
        changes.start()
        waiting = asyncio.create_task(wait_for_version(changes, engine, scan_id, 30))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        stopping = True
        await waiting
        ended_s = time.monotonic() - began
        began = time.monotonic()
        await wait_for_version(changes, engine, scan_id, 30)
        await changes.close()
        return ended_s, time.monotonic() - began

    ended_s, later_s = asyncio.run(work())
    assert ended_s < WOKEN_S
    assert later_s < WOKEN_S
