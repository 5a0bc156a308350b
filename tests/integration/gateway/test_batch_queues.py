"""A batch's stages wait in the twin of their queue, and yield to single scans."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from neuroscan.contracts.enums import StageName
from neuroscan.ids import new_id
from neuroscan.queues import stage_queue
from services.gateway.db.session import transaction
from services.gateway.db.tables import Stage
from services.gateway.pipeline import ledger, steering
from services.gateway.pipeline.ledger import StageRef
from services.gateway.pipeline.publish import Publisher
from tests.integration.gateway.broker import Broker
from tests.integration.gateway.ledger import add_scan, classified_scan, finish

BATCH = 8
# Writes down in which order it gets scans.
PROGRAM = """
import sys, time
from pathlib import Path
from neuroscan.contracts.enums import StageName
from neuroscan.contracts.messages import ExplainTask
from neuroscan.contracts.problems import StageFailed
from neuroscan.worker import stage_worker

def load():
    def note(task, prefix):
        with Path(sys.argv[1]).open("a") as order:
            order.write(task.scan_id + "\\n")
        time.sleep(0.3)
        raise StageFailed
    return note

stage_worker(service="notes", stage=StageName.EXPLAIN, task_type=ExplainTask, load=load).run()
"""


@pytest.fixture
def publisher(engine: Engine, broker: Broker) -> Iterator[Publisher]:
    publisher = Publisher(broker.settings, engine, timedelta(milliseconds=500))
    yield publisher
    publisher.close()


def send(engine: Engine, publisher: Publisher, *, batch: bool) -> str:
    """A scan whose explain stage is sent; returns its id."""
    scan_id = classified_scan(engine, batch=batch)
    assert publisher.publish(StageRef(scan_id, StageName.EXPLAIN))
    return scan_id


def lengths(broker: Broker, stage: StageName) -> tuple[int, int]:
    """Messages in a stage's queue and in its twin."""
    first, twin = (broker.client.llen(stage_queue(stage, batch=batch)) for batch in (False, True))
    return first, twin


def test_every_stage_of_a_batch_goes_to_the_twin(
    engine: Engine, broker: Broker, publisher: Publisher
) -> None:
    received = add_scan(engine, batch=True)
    with transaction(engine) as session:
        ledger.queue_stage(session.get_one(Stage, (received, "", StageName.CLASSIFY)))
    assert publisher.publish(StageRef(received, StageName.CLASSIFY))
    assert lengths(broker, StageName.CLASSIFY) == (0, 1)
    scan_id = send(engine, publisher, batch=True)
    assert lengths(broker, StageName.EXPLAIN) == (0, 1)
    for done, following in (
        (StageName.EXPLAIN, StageName.MEASURE),
        (StageName.MEASURE, StageName.REPORT),
    ):
        recorded = finish(engine, scan_id, done)
        assert recorded.publish is not None
        assert publisher.publish(recorded.publish)
        assert lengths(broker, following) == (0, 1)


def test_a_single_scan_keeps_the_first_queue(
    engine: Engine, broker: Broker, publisher: Publisher
) -> None:
    send(engine, publisher, batch=False)
    assert lengths(broker, StageName.EXPLAIN) == (1, 0)


def test_somebody_waits_for_further_work_on_a_batchs_scan(
    engine: Engine, broker: Broker, publisher: Publisher
) -> None:
    scan_id = send(engine, publisher, batch=True)
    with transaction(engine) as session:
        ref = steering.open_track(session, scan_id, new_id(), [StageName.EXPLAIN], "digest")
    assert ref is not None
    assert publisher.publish(ref)
    assert lengths(broker, StageName.EXPLAIN) == (1, 1)


def test_a_single_scan_overtakes_a_batch(
    engine: Engine, broker: Broker, publisher: Publisher, tmp_path: Path
) -> None:
    batch = [send(engine, publisher, batch=True) for _ in range(BATCH)]
    single = [classified_scan(engine) for _ in range(2)]
    order = tmp_path / "order"
    order.touch()
    worker = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(order)],
        env=os.environ | {"BROKER_URL": broker.settings.broker_url},
        start_new_session=True,
    )
    try:
        wait_for(order, 1)
        for scan_id in single:
            assert publisher.publish(StageRef(scan_id, StageName.EXPLAIN))
        began = order.read_text().split()
        assert len(began) < BATCH - 3
        wait_for(order, BATCH + 2)
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    taken = order.read_text().split()
    assert sorted(taken) == sorted([*batch, *single])
    # One more of the batch may have been on its way to the worker.
    assert max(taken.index(scan_id) for scan_id in single) <= len(began) + 2


def wait_for(order: Path, count: int) -> None:
    """Wait until so many scans were taken."""
    ends = time.monotonic() + 40
    while len(order.read_text().split()) < count:
        assert time.monotonic() < ends, "the worker does not take the scans"
        time.sleep(0.02)
