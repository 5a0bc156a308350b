"""A process that works on queues is alive while it beats, and ended when it is stuck."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from neuroscan.heartbeat import Heartbeat
from neuroscan.process import process_name
from neuroscan.queues import heartbeat_key
from tests.integration.gateway.broker import Broker

QUEUE = "stuck"


@contextmanager
def beating(broker: Broker) -> Iterator[tuple[Heartbeat, threading.Event]]:
    """A heartbeat that gives a stuck process half a second."""
    ended = threading.Event()
    heartbeat = Heartbeat(
        "test", broker.settings, [QUEUE], ended.set, every_s=0.05, stuck_after_s=0.5
    )
    heartbeat.start()
    try:
        yield heartbeat, ended
    finally:
        heartbeat.stop()


def fill(broker: Broker) -> None:
    broker.client.lpush(QUEUE, "message")  # type: ignore[attr-defined]


def test_the_key_stands_while_the_process_lives(broker: Broker) -> None:
    key = heartbeat_key("test", process_name())
    with beating(broker):
        ends = time.monotonic() + 5
        while broker.client.mget([key]) == [None] and time.monotonic() < ends:
            time.sleep(0.02)
        assert broker.client.mget([key]) == ["1"]


def test_idling_beside_a_full_queue_ends_the_process(broker: Broker) -> None:
    fill(broker)
    with beating(broker) as (_, ended):
        assert not ended.wait(0.4)
        assert ended.wait(5)


def test_idling_beside_empty_queues_is_no_harm(broker: Broker) -> None:
    with beating(broker) as (_, ended):
        assert not ended.wait(1.5)


def test_whoever_works_for_long_is_not_stuck(broker: Broker) -> None:
    fill(broker)
    with beating(broker) as (heartbeat, ended):
        with heartbeat.working():
            assert not ended.wait(1.5)
        assert ended.wait(5)


def test_a_broker_that_is_away_ends_nobody(broker: Broker) -> None:
    fill(broker)
    with beating(broker) as (_, ended):
        broker.kill()
        assert not ended.wait(1.5)
        broker.start()
