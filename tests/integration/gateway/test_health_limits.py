"""Health is answered in time, whatever hangs."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, QueuePool, text

from neuroscan.contracts.health import Health
from neuroscan.queues import broker_client
from neuroscan.settings import BrokerSettings
from services.gateway.health.checks import ANSWER_LIMIT_S, SHARED_FOR_S, HealthChecks
from services.gateway.pipeline.assembly import Pipeline


@pytest.fixture
def checks(pipeline: Pipeline, tmp_path: Path) -> Iterator[HealthChecks]:
    """Checks over a database and a folder, without any other part."""
    broker = BrokerSettings(broker_url=f"redis+socket://{tmp_path}/no-broker.sock")
    checks = HealthChecks(pipeline, broker_client(broker))
    yield checks
    checks.close()


def test_what_is_missing_is_named(checks: HealthChecks) -> None:
    readiness = checks.readiness()
    assert readiness.status is Health.DEGRADED
    assert {name for name, part in readiness.parts.items() if part.ok} == {
        "postgres",
        "object_store",
    }


def test_all_who_ask_at_once_share_an_answer(
    checks: HealthChecks, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    really = pipeline.storage.check

    def check() -> None:
        asked.append(time.monotonic())
        really()

    monkeypatch.setattr(pipeline.storage, "check", check)
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: checks.readiness(), range(40)))
    assert len(answers) == 40
    # A slow machine may take longer than a second for forty.
    assert 1 <= len(asked) <= 3
    time.sleep(SHARED_FOR_S)
    before = len(asked)
    checks.readiness()
    assert len(asked) == before + 1


def test_a_database_that_hangs_is_down_in_time(checks: HealthChecks, engine: Engine) -> None:
    with engine.connect() as connection:
        process = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    # The connection that the next check takes from the pool.
    os.kill(process, signal.SIGSTOP)
    began = time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        try:
            status = threads.submit(checks.status).result(timeout=20)
            elapsed_s = time.monotonic() - began
        finally:
            os.kill(process, signal.SIGCONT)
    # The check that hung gives its connection back, now that it can.
    assert isinstance(engine.pool, QueuePool)
    ends = time.monotonic() + 10
    while engine.pool.checkedout() and time.monotonic() < ends:
        time.sleep(0.02)
    time.sleep(SHARED_FOR_S)
    assert checks.readiness().parts["postgres"].ok
    assert status.status is Health.DOWN
    assert "postgres" in status.degraded
    assert elapsed_s < ANSWER_LIMIT_S + 2
