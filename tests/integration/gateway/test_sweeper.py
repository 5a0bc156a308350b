"""What fell through is found: unpublished stages, lost messages, a broker that forgot."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from neuroscan.contracts.enums import StageName, StageState
from neuroscan.contracts.problems import Unavailable
from neuroscan.ids import new_id
from neuroscan.queues import marker_key, stage_queue
from neuroscan.settings import GatewaySettings
from neuroscan.storage import Storage
from services.gateway.db.session import transaction
from services.gateway.db.tables import Erasure, Stage, now
from services.gateway.pipeline import record, steering
from services.gateway.pipeline import sweeper as module
from services.gateway.pipeline.ledger import StageRef
from services.gateway.pipeline.publish import Publisher
from services.gateway.pipeline.sweeper import Sweeper
from tests.integration.gateway.broker import Broker
from tests.integration.gateway.ledger import classified_scan, finish, stage_row, started

EXPLAIN_QUEUE = stage_queue(StageName.EXPLAIN, batch=False)
BATCH_QUEUE = stage_queue(StageName.EXPLAIN, batch=True)


@pytest.fixture
def publisher(engine: Engine, broker: Broker) -> Iterator[Publisher]:
    publisher = Publisher(broker.settings, engine, timedelta(milliseconds=500))
    yield publisher
    publisher.close()


@pytest.fixture
def sweeper(engine: Engine, publisher: Publisher, tmp_path: Path) -> Sweeper:
    settings = GatewaySettings(marker_grace=timedelta(0), queue_stalled_after=timedelta(seconds=60))
    return Sweeper(engine, publisher, Storage((tmp_path / "objects").as_uri()), settings)


def queued_scan(engine: Engine) -> StageRef:
    """A scan whose explain stage waits."""
    return StageRef(classified_scan(engine), StageName.EXPLAIN)


def set_published(engine: Engine, ref: StageRef, seconds_ago: float) -> None:
    with Session(engine) as session:
        stage = session.get_one(Stage, (ref.scan_id, "", ref.name))
        stage.published_at = now() - timedelta(seconds=seconds_ago)
        session.add(stage)
        session.commit()


def test_a_stage_that_was_never_published_is(
    engine: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    ref = queued_scan(engine)
    sweeper.sweep()
    assert broker.client.llen(EXPLAIN_QUEUE) == 1
    assert stage_row(engine, ref.scan_id, ref.name).published_at is not None
    sweeper.sweep()
    sweeper.sweep()
    assert broker.client.llen(EXPLAIN_QUEUE) == 1


def test_a_long_queue_hides_nothing_in_another(
    engine: Engine, broker: Broker, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("_AT_ONCE", "_OF_A_QUEUE"):
        monkeypatch.setattr(module, limit, 2, raising=False)
    for _ in range(3):
        queued_scan(engine)
    explained = classified_scan(engine)
    finish(engine, explained, StageName.EXPLAIN)
    sweeper.sweep()
    assert broker.client.llen(EXPLAIN_QUEUE) == 2
    assert broker.client.llen(stage_queue(StageName.MEASURE, batch=False)) == 1


def test_a_slow_store_holds_up_no_sweep(
    engine: Engine, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 12
    with transaction(engine) as session:
        for number in range(count):
            asked_at = now() - timedelta(minutes=5)
            session.add(Erasure(prefix=f"scans/{number}", asked_at=asked_at))
    monkeypatch.setattr(sweeper._storage, "delete_prefix", lambda _prefix: time.sleep(0.3))
    sweeper.sweep()
    with transaction(engine) as session:
        left = len(session.exec(select(Erasure)).all())
    # The rest goes with the next ones.
    assert 0 < count - left <= 5


def test_a_message_that_the_broker_forgot_is_sent_again(
    engine: Engine, broker: Broker, publisher: Publisher, sweeper: Sweeper
) -> None:
    ref = queued_scan(engine)
    assert publisher.publish(ref)
    broker.kill()
    broker.start()
    sweeper.sweep()  # sees it missing, suspects
    sweeper.sweep()
    assert broker.client.llen(EXPLAIN_QUEUE) == 1
    assert stage_row(engine, ref.scan_id, ref.name).attempt == 1


def test_a_marker_that_outlived_its_broker_counts_for_nothing(
    engine: Engine, broker: Broker, publisher: Publisher, sweeper: Sweeper
) -> None:
    ref = queued_scan(engine)
    assert publisher.publish(ref)
    broker.client.delete(EXPLAIN_QUEUE)
    broker.client.set(marker_key(ref.scan_id, ref.name, 1), "another process")
    sweeper.sweep()
    sweeper.sweep()
    assert broker.client.llen(EXPLAIN_QUEUE) == 1


def test_a_message_lost_behind_its_marker_is_sent_again_after_a_while(
    engine: Engine, broker: Broker, publisher: Publisher, sweeper: Sweeper
) -> None:
    ref = queued_scan(engine)
    assert publisher.publish(ref)
    broker.client.delete(EXPLAIN_QUEUE)
    sweeper.sweep()
    sweeper.sweep()
    assert broker.client.llen(EXPLAIN_QUEUE) == 0
    set_published(engine, ref, seconds_ago=61)
    sweeper.sweep()
    assert broker.client.llen(EXPLAIN_QUEUE) == 1


@pytest.mark.parametrize(("later_s", "messages"), [(5, 0), (31, 1)])
def test_a_message_that_was_overtaken_is_sent_again_even_while_others_start(
    engine: Engine,
    broker: Broker,
    publisher: Publisher,
    sweeper: Sweeper,
    later_s: float,
    messages: int,
) -> None:
    lost, other = queued_scan(engine), queued_scan(engine)
    for ref in (lost, other):
        assert publisher.publish(ref)
    broker.client.delete(EXPLAIN_QUEUE)
    set_published(engine, lost, seconds_ago=61)
    set_published(engine, other, seconds_ago=61 - later_s)
    with transaction(engine) as session:
        record.started(session, started(other.scan_id, other.name), timedelta(seconds=30))
    sweeper.sweep()
    assert broker.client.llen(EXPLAIN_QUEUE) == messages


def test_a_stage_that_cannot_be_sent_keeps_none_back(
    engine: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    broken = queued_scan(engine)
    with transaction(engine) as session:
        session.get_one(Stage, (broken.scan_id, "", StageName.CLASSIFY)).output = {
            "of": "another age"
        }
    queued_scan(engine)
    sweeper.sweep()
    assert broker.client.llen(EXPLAIN_QUEUE) == 1


def test_a_message_that_could_not_be_sent_does_not_count_as_sent(
    engine: Engine, broker: Broker, publisher: Publisher
) -> None:
    ref = queued_scan(engine)
    broker.kill()
    assert not publisher.publish(ref)
    assert stage_row(engine, ref.scan_id, ref.name).published_at is None
    broker.start()


def test_a_long_queue_is_not_sent_again(
    engine: Engine, broker: Broker, publisher: Publisher, sweeper: Sweeper
) -> None:
    ref = queued_scan(engine)
    assert publisher.publish(ref)
    set_published(engine, ref, seconds_ago=3600)
    sweeper.sweep()
    sweeper.sweep()
    assert broker.client.llen(EXPLAIN_QUEUE) == 1


def test_a_stage_on_a_track_is_sent_and_missed_like_any_other(
    engine: Engine, broker: Broker, sweeper: Sweeper
) -> None:
    scan_id, track = queued_scan(engine).scan_id, new_id()
    sweeper.sweep()
    with transaction(engine) as session:
        steering.open_track(session, scan_id, track, [StageName.EXPLAIN], "digest")
    sweeper.sweep()
    assert broker.client.llen(EXPLAIN_QUEUE) == 2
    marker = marker_key(scan_id, StageName.EXPLAIN, 1, track)
    assert broker.client.mget([marker]) != [None]
    broker.client.delete(marker)
    sweeper.sweep()
    sweeper.sweep()
    assert broker.client.llen(EXPLAIN_QUEUE) == 3
    assert broker.client.mget([marker]) != [None]


def test_a_run_out_lease_on_a_track_is_taken_back(engine: Engine, sweeper: Sweeper) -> None:
    scan_id, track = queued_scan(engine).scan_id, new_id()
    with transaction(engine) as session:
        steering.open_track(session, scan_id, track, [StageName.EXPLAIN], "digest")
    with transaction(engine) as session:
        stage = session.get_one(Stage, (scan_id, track, StageName.EXPLAIN))
        stage.state, stage.lease_until = StageState.RUNNING, now() - timedelta(seconds=1)
    sweeper._troubled_at = time.monotonic() - 60
    sweeper.sweep()
    # Sent again in the same sweep.
    stage = stage_row(engine, scan_id, StageName.EXPLAIN, track)
    assert (stage.state, stage.attempt) == (StageState.QUEUED, 1)
    assert stage.published_at is not None


def test_single_scans_that_overtake_a_batch_do_not_count_its_messages_as_lost(
    engine: Engine, broker: Broker, publisher: Publisher, sweeper: Sweeper
) -> None:
    batch = StageRef(classified_scan(engine, batch=True), StageName.EXPLAIN)
    single = queued_scan(engine)
    for ref in (batch, single):
        assert publisher.publish(ref)
    set_published(engine, batch, seconds_ago=3600)
    with transaction(engine) as session:
        record.started(session, started(single.scan_id, single.name), timedelta(seconds=30))
    sweeper.sweep()
    assert broker.client.llen(BATCH_QUEUE) == 1
    broker.client.delete(BATCH_QUEUE)
    sweeper.sweep()
    assert broker.client.llen(BATCH_QUEUE) == 1


def test_publishing_never_holds_up_a_request(
    engine: Engine, broker: Broker, publisher: Publisher
) -> None:
    ref = queued_scan(engine)
    broker.kill()
    began = time.monotonic()
    publisher.publish_soon(ref)
    assert time.monotonic() - began < 0.7
    stage = stage_row(engine, ref.scan_id, ref.name)
    assert (stage.state, stage.published_at) == (StageState.QUEUED, None)
    broker.start()


def test_many_waiting_batches_keep_no_single_scan_back(
    engine: Engine,
    broker: Broker,
    publisher: Publisher,
    sweeper: Sweeper,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.gateway.pipeline.sweeper._AT_ONCE", 3)
    batches = [StageRef(classified_scan(engine, batch=True), StageName.EXPLAIN) for _ in range(9)]
    assert all(publisher.publish(ref) for ref in batches[:5])
    unsent, lost = queued_scan(engine), queued_scan(engine)
    assert publisher.publish(lost)
    broker.client.delete(EXPLAIN_QUEUE, marker_key(lost.scan_id, lost.name, 1))
    # Those of batches are older, and more than a sweep looks at, both sent and not sent.
    sweeper.sweep()
    assert stage_row(engine, unsent.scan_id, unsent.name).published_at is not None
    sweeper.sweep()
    assert broker.client.llen(EXPLAIN_QUEUE) == 2
    assert all(stage_row(engine, ref.scan_id, ref.name).published_at for ref in batches)


def test_an_erasure_that_fails_keeps_neither_others_nor_leases_waiting(
    engine: Engine, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = sweeper._storage.delete_prefix

    def refuse_one(prefix: str) -> None:
        if prefix == "scans/stuck":
            raise Unavailable("object store")
        really(prefix)

    monkeypatch.setattr(sweeper._storage, "delete_prefix", refuse_one)
    with transaction(engine) as session:
        long_ago = now() - timedelta(minutes=3)
        for name in ("stuck", *(f"gone-{index}" for index in range(4))):
            session.add(Erasure(prefix=f"scans/{name}", asked_at=long_ago))
    sweeper._troubled_at = time.monotonic() - 60
    for _ in range(50):
        sweeper._erase_from = time.monotonic()
        sweeper.sweep()
        assert sweeper._calm()
    with Session(engine) as session:
        assert session.exec(select(Erasure.prefix)).all() == ["scans/stuck"]


def test_ordered_erasure_is_carried_out(engine: Engine, sweeper: Sweeper, tmp_path: Path) -> None:
    storage = Storage((tmp_path / "objects").as_uri())
    storage.put("scans/gone/slice.png", b"x")
    storage.put("scans/kept/slice.png", b"x")
    with transaction(engine) as session:
        session.add(Erasure(prefix="scans/gone"))
    sweeper.sweep()
    # A worker may still write there.
    assert len(storage.list("scans")) == 2
    with transaction(engine) as session:
        session.get_one(Erasure, "scans/gone").asked_at = now() - timedelta(minutes=3)
    sweeper.sweep()
    assert storage.list("scans") == ["scans/kept/slice.png"]
    with Session(engine) as session:
        assert session.get(Erasure, "scans/gone") is None
