"""Too many requests are refused, and new work while old work waits too long."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import Engine, text

from neuroscan.contracts.enums import StageName, StageState
from neuroscan.contracts.problems import Overloaded, TooManyRequests
from neuroscan.settings import BrokerSettings
from neuroscan.stack import Stack
from services.gateway.db.session import transaction
from services.gateway.db.tables import Batch, Scan, Stage, now
from services.gateway.limits import backlog as backlogs
from services.gateway.limits.backlog import Backlog
from services.gateway.limits.rate import ANSWER_LIMIT_S, LEFT_ALONE_S, RequestRate
from tests import pictures
from tests.integration.gateway.broker import Broker
from tests.integration.gateway.calls import submit, wait_final
from tests.integration.gateway.ledger import add_scan
from tests.integration.gateway.own_gateway import own_gateway


def count(settings: BrokerSettings, per_minute: int, callers: list[str]) -> list[int | None]:
    """What each request is told: None, or how long to wait."""

    async def run() -> list[int | None]:
        rate = RequestRate(settings, per_minute)
        told: list[int | None] = []
        for caller in callers:
            try:
                await rate.count(caller)
            except TooManyRequests as refused:
                told.append(refused.retry_after_s)
            else:
                told.append(None)
        await rate.close()
        return told

    return asyncio.run(run())


def test_a_caller_has_so_many_requests_a_minute(broker: Broker) -> None:
    told = count(broker.settings, 3, ["key:a"] * 5 + ["key:b"])
    assert told[:3] == [None] * 3
    assert all(each is not None and 55 <= each <= 60 for each in told[3:5])
    assert told[5] is None
    # Another gateway counts on.
    assert count(broker.settings, 3, ["key:a"])[0] is not None


def test_a_minute_ends(broker: Broker) -> None:
    async def run() -> None:
        rate = RequestRate(broker.settings, 1)
        await rate.count("key:a")
        with pytest.raises(TooManyRequests):
            await rate.count("key:a")
        await rate._redis.pexpire("neuroscan:requests:key:a", 1)
        await asyncio.sleep(0.05)
        await rate.count("key:a")
        await rate.close()

    asyncio.run(run())


def test_without_redis_nobody_is_refused(tmp_path: Path) -> None:
    nowhere = BrokerSettings(broker_url=f"redis+socket://{tmp_path}/none.sock")
    assert count(nowhere, 1, ["key:a"] * 5) == [None] * 5


def test_a_frozen_redis_holds_up_one_request_a_second(broker: Broker) -> None:
    async def run() -> tuple[float, float]:
        rate = RequestRate(broker.settings, 1)
        await rate.count("key:a")
        broker.freeze()
        try:
            began = time.monotonic()
            await rate.count("key:a")
            first_s = time.monotonic() - began
            began = time.monotonic()
            for _ in range(100):
                await rate.count("key:a")
            rest_s = time.monotonic() - began
        finally:
            broker.thaw()
        await asyncio.sleep(LEFT_ALONE_S)
        with pytest.raises(TooManyRequests):
            await rate.count("key:a")
        await rate.close()
        return first_s, rest_s

    first_s, rest_s = asyncio.run(run())
    assert first_s < ANSWER_LIMIT_S * 2.5
    assert rest_s < ANSWER_LIMIT_S


def check(backlog: Backlog) -> None:
    asyncio.run(backlog.check())


def queue_classify(engine: Engine, scan_id: str, age: timedelta, **changes: str) -> None:
    with transaction(engine) as session:
        stage = session.get_one(Stage, (scan_id, "", StageName.CLASSIFY))
        stage.state = StageState.QUEUED
        stage.available_at = now() - age
        session.add(stage)


@pytest.fixture
def waiting(engine: Engine) -> str:
    """A single scan that has waited a quarter of an hour."""
    scan_id = add_scan(engine)
    queue_classify(engine, scan_id, timedelta(minutes=15))
    return scan_id


def test_new_work_is_refused_while_a_single_scan_waits_too_long(
    engine: Engine, waiting: str
) -> None:
    check(Backlog(engine, timedelta(minutes=20)))
    with pytest.raises(Overloaded) as refused:
        check(Backlog(engine, timedelta(minutes=10)))
    assert refused.value.retry_after_s == backlogs.RETRY_AFTER_S


def test_scans_of_a_batch_may_wait(engine: Engine, waiting: str) -> None:
    with transaction(engine) as session:
        batch = Batch(owner="key:test")
        session.add(batch)
        session.flush()
        scan = session.get_one(Scan, waiting)
        scan.batch_id = batch.id
        session.add(scan)
    check(Backlog(engine, timedelta(minutes=10)))


def test_the_ledger_is_asked_once_a_second(
    engine: Engine, waiting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> list[bool]:
        backlog = Backlog(engine, timedelta(minutes=10))
        told = [await refuses(backlog)]
        queue_classify(engine, waiting, timedelta(0))
        told.append(await refuses(backlog))
        monkeypatch.setattr(backlogs, "LOOKED_AT_EVERY_S", 0.0)
        told.append(await refuses(backlog))
        return told

    async def refuses(backlog: Backlog) -> bool:
        try:
            await backlog.check()
        except Overloaded:
            return True
        return False

    assert asyncio.run(run()) == [True, True, False]


def test_an_index_finds_the_oldest_that_waits(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = connection.execute(
            text(
                "EXPLAIN SELECT stage.scan_id FROM stage JOIN scan ON scan.id = stage.scan_id"
                " WHERE stage.state = 'queued' AND stage.available_at < now()"
                " AND scan.batch_id IS NULL ORDER BY stage.available_at LIMIT 1"
            )
        ).scalars()
        assert "stage_waiting" in "\n".join(plan)


def test_the_limit_is_told_before_the_body_is_read(stack: Stack, api: httpx.Client) -> None:
    with own_gateway(stack, REQUESTS_PER_MINUTE="3") as gateway, gateway.client() as client:
        client.headers["Authorization"] = f"Bearer {new_key(api)}"
        assert [client.get("/v1/status").status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = submit(client, pictures.png())
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
        assert 50 <= int(refused.headers["Retry-After"]) <= 60
        assert client.get("/health/live", headers={"Authorization": ""}).status_code == 200


def test_a_gateway_without_redis_refuses_nobody(stack: Stack, tmp_path: Path) -> None:
    nowhere = f"redis+socket://{tmp_path}/none.sock"
    with (
        own_gateway(stack, REQUESTS_PER_MINUTE="1", BROKER_URL=nowhere) as gateway,
        gateway.client() as client,
    ):
        statuses = [client.get("/v1/scans?limit=1").status_code for _ in range(5)]
        assert statuses == [200] * 5


def test_uploads_are_refused_while_the_system_is_behind(stack: Stack) -> None:
    plain = (stack.state.database_url or "").replace("+psycopg", "")
    with own_gateway(stack, BACKLOG_MAX="PT1S") as gateway, gateway.client() as client:
        scan_id = wait_final(client, submit(client, pictures.png()).json()["id"])["id"]
        with psycopg.connect(plain) as connection:
            # Due in the past and published: nobody has come for it.
            connection.execute(
                "UPDATE stage SET state = 'queued', available_at = now() - interval '1 minute',"
                " published_at = now() WHERE scan_id = %s AND name = 'report'",
                (scan_id,),
            )
        try:
            time.sleep(1.1)
            refused: httpx.Response = submit(client, pictures.png())
            listed = client.get("/v1/scans?limit=1")
        finally:
            with psycopg.connect(plain) as connection:
                connection.execute("DELETE FROM scan WHERE id = %s", (scan_id,))
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert refused.headers["Retry-After"] == str(backlogs.RETRY_AFTER_S)
        assert listed.status_code == 200


def new_key(api: httpx.Client) -> str:
    """A caller of its own, whose minute begins with its first request."""
    made = api.post("/v1/keys", json={"name": "limits", "role": "submitter"})
    key: str = made.json()["key"]
    return key
