"""What is counted of the ledger's work, and what the recorder shows of what waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Engine
from sqlmodel import Session

from neuroscan.contracts.enums import StageName
from neuroscan.contracts.problems import StageFailed, Unavailable
from neuroscan.queues import broker_client
from neuroscan.settings import BrokerSettings
from services.gateway.db.session import make_engine, transaction
from services.gateway.db.tables import Stage, now
from services.gateway.pipeline import record
from services.gateway.pipeline.backlog import Backlog
from services.gateway.pipeline.ledger import StageRef
from tests.integration.gateway.broker import Broker
from tests.integration.gateway.ledger import (
    add_scan,
    classified_scan,
    complete,
    fail_for_good,
    finish,
    started,
)

OUTCOMES = "neuroscan_stage_outcomes_total"


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@contextmanager
def grows(by: float, name: str, **labels: str) -> Iterator[None]:
    before = counted(name, **labels)
    yield
    assert counted(name, **labels) - before == by


def outcome(stage: StageName, outcome: str, code: str = "") -> dict[str, str]:
    return {"stage": stage.value, "outcome": outcome, "code": code}


def shown(backlog: Backlog) -> dict[tuple[str, str], float]:
    """The gauges by name and by the value of their one label."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in backlog.collect()
        for sample in family.samples
    }


def test_a_completed_scan_is_counted_once_with_its_time(engine: Engine) -> None:
    scan_id = add_scan(engine)
    with (
        grows(1, "neuroscan_scans_total", state="completed"),
        grows(1, "neuroscan_scan_seconds_count", lane="single"),
        grows(1, OUTCOMES, **outcome(StageName.REPORT, "done")),
        grows(1, "neuroscan_stage_attempts_sum", stage="explain"),
    ):
        complete(engine, scan_id)


def test_a_second_result_counts_as_late(engine: Engine) -> None:
    scan_id = classified_scan(engine)
    with grows(1, OUTCOMES, **outcome(StageName.EXPLAIN, "done")):
        finish(engine, scan_id, StageName.EXPLAIN, "first")
    with (
        grows(0, OUTCOMES, **outcome(StageName.EXPLAIN, "done")),
        grows(1, OUTCOMES, **outcome(StageName.EXPLAIN, "late")),
    ):
        finish(engine, scan_id, StageName.EXPLAIN, "second")


def test_what_was_not_committed_is_not_counted(engine: Engine) -> None:
    scan_id = add_scan(engine)
    ref = StageRef(scan_id, StageName.CLASSIFY)

    def break_off() -> None:
        with transaction(engine) as session:
            record.attempt_failed(session, ref, 1, StageFailed().problem(), 3)
            raise RuntimeError

    unchanged = grows(0, OUTCOMES, **outcome(ref.name, "retried", StageFailed.code))
    with unchanged, pytest.raises(RuntimeError):
        break_off()


def test_failures_are_told_apart_by_what_they_cost(engine: Engine) -> None:
    scan_id = add_scan(engine)
    ref = StageRef(scan_id, StageName.CLASSIFY)
    with (
        grows(1, OUTCOMES, **outcome(ref.name, "put_back", Unavailable.code)),
        transaction(engine) as session,
    ):
        record.attempt_failed(session, ref, 1, Unavailable("away").problem(), 3)
    with (
        grows(2, OUTCOMES, **outcome(ref.name, "retried", StageFailed.code)),
        grows(1, OUTCOMES, **outcome(ref.name, "failed", StageFailed.code)),
        grows(3, "neuroscan_stage_attempts_sum", stage=ref.name.value),
        grows(1, "neuroscan_scans_total", state="failed"),
    ):
        fail_for_good(engine, ref)


def test_a_wait_is_counted_in_its_lane(engine: Engine) -> None:
    scan_id = classified_scan(engine, batch=True)
    _change(engine, scan_id, lambda stage: _sent(stage, now() - timedelta(seconds=40)))
    labels = {"stage": "explain", "lane": "batch"}
    before = counted("neuroscan_stage_wait_seconds_sum", **labels)
    with transaction(engine) as session:
        record.started(session, started(scan_id, StageName.EXPLAIN), timedelta(seconds=30))
    waited = counted("neuroscan_stage_wait_seconds_sum", **labels) - before
    assert 40 <= waited < 60


def test_the_backlog_is_that_of_the_ledger(engine: Engine, broker: Broker) -> None:
    old, _, batch = (classified_scan(engine, batch=batch) for batch in (False, False, True))
    _change(engine, old, lambda stage: _sent(stage, now() - timedelta(seconds=90)))
    _change(engine, batch, lambda stage: _sent(stage, now() + timedelta(seconds=90)))
    dead = add_scan(engine)
    fail_for_good(engine, StageRef(dead, StageName.CLASSIFY))
    add_scan(engine)
    gauges = shown(Backlog(engine, broker.client))
    assert gauges["neuroscan_ledger_up", ""] == 1
    assert gauges["neuroscan_broker_up", ""] == 1
    assert gauges["neuroscan_queue_waiting", "explain"] == 2
    assert 90 <= gauges["neuroscan_queue_oldest_seconds", "explain"] < 110
    # A retry that is put off waits, but for nobody's fault.
    assert gauges["neuroscan_queue_waiting", "explain.batch"] == 1
    assert gauges["neuroscan_queue_oldest_seconds", "explain.batch"] == 0
    assert gauges["neuroscan_queue_waiting", "report"] == 0
    assert gauges["neuroscan_stages_dead", "classify"] == 1
    assert gauges["neuroscan_stages_running", "classify"] == 1
    assert gauges["neuroscan_broker_queue_length", "recorder"] == 0


def test_what_is_described_is_what_is_shown(engine: Engine, broker: Broker) -> None:
    backlog = Backlog(engine, broker.client)
    described = {(family.name, family.type) for family in backlog.describe()}
    assert {(family.name, family.type) for family in backlog.collect()} == described


def test_parts_that_are_away_show_as_such_and_show_nothing_else(tmp_path: Path) -> None:
    nowhere = make_engine("postgresql+psycopg://127.0.0.1:1/none")
    away = broker_client(BrokerSettings(broker_url=f"redis+socket://{tmp_path}/none.sock"))
    gauges = shown(Backlog(nowhere, away))
    assert gauges == {("neuroscan_ledger_up", ""): 0, ("neuroscan_broker_up", ""): 0}


def _change(engine: Engine, scan_id: str, change: Callable[[Stage], None]) -> None:
    with Session(engine) as session:
        stage = session.get_one(Stage, (scan_id, "", StageName.EXPLAIN))
        change(stage)
        session.add(stage)
        session.commit()


def _sent(stage: Stage, due: object) -> None:
    stage.available_at = stage.published_at = due  # type: ignore[assignment]
