"""What waits and what runs, read from the ledger and the broker when Prometheus asks.

The ledger is the only place that knows how long a stage has waited, whatever became of its
message. Every recorder shows the same numbers: take the maximum over them, not the sum.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

import redis
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine, func, select, text
from sqlmodel import Session, col

from neuroscan.contracts.enums import StageName, StageState
from neuroscan.contracts.problems import Unavailable
from neuroscan.queues import STAGE_QUEUES, BrokerClient, stage_queue, with_batch_twins
from services.gateway.db.session import transaction
from services.gateway.db.tables import OWN_TRACK, Scan, Stage, now
from services.gateway.pipeline.messages import in_batch

# However many ask, the ledger is asked no more often.
_FRESH_S = 5.0
_QUEUES = with_batch_twins(list(STAGE_QUEUES.values()))


@dataclass(frozen=True)
class _Ledger:
    """Stages by queue or name: how many, and for how many seconds the oldest has been due."""

    waiting: dict[str, tuple[int, float]]
    running: dict[str, int]
    dead: dict[str, int]


class Backlog(Collector):
    """The gauges of ledger and broker; a part that is away costs its own gauges only."""

    def __init__(self, engine: Engine, broker: BrokerClient) -> None:
        self._engine = engine
        self._broker = broker
        self._lock = threading.Lock()
        self._looked_at = -_FRESH_S
        self._seen: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """The gauges without their values: registering asks neither ledger nor broker."""
        nothing = _Ledger({}, {}, {})
        return [_ledger_up(1), *_ledger_gauges(nothing), _broker_up(1), _lengths([])]

    def collect(self) -> Iterable[Metric]:
        """The gauges as they are now, or were a few seconds ago."""
        with self._lock:
            if time.monotonic() - self._looked_at >= _FRESH_S:
                self._seen = [*self._of_ledger(), *self._of_broker()]
                self._looked_at = time.monotonic()
            return self._seen

    def _of_ledger(self) -> list[Metric]:
        try:
            return [_ledger_up(1), *_ledger_gauges(self._read())]
        except Unavailable:
            return [_ledger_up(0)]

    def _read(self) -> _Ledger:
        waiting: dict[str, tuple[int, float]] = {}
        further, batched = col(Stage.track) != OWN_TRACK, col(Scan.batch_id).is_not(None)
        with transaction(self._engine) as session:
            # Prometheus gives up after a few seconds as well.
            session.execute(text("SET LOCAL statement_timeout = 4000"))
            due = func.min(col(Stage.available_at))
            rows = session.execute(
                select(col(Stage.name), further, batched, func.count(), due)
                .join(Scan, col(Scan.id) == col(Stage.scan_id))
                .where(col(Stage.state) == StageState.QUEUED)
                .group_by(col(Stage.name), further, batched)
            ).all()
            moment = now()
            running = _count(session, StageState.RUNNING)
            dead = _count(session, StageState.FAILED)
        for name, is_further, is_batched, count, oldest_due in rows:
            stage = StageName(name)
            # `in_batch` asks only whether there is a batch, and whether the track is the scan's.
            batch = in_batch(
                stage, "further" if is_further else OWN_TRACK, "batch" if is_batched else None
            )
            queue = stage_queue(stage, batch=batch)
            before, oldest = waiting.get(queue, (0, 0.0))
            seconds = max((moment - oldest_due).total_seconds(), 0.0)
            waiting[queue] = (before + count, max(oldest, seconds))
        return _Ledger(waiting, running, dead)

    def _of_broker(self) -> list[Metric]:
        try:
            lengths = [(queue, self._broker.llen(queue)) for queue in _QUEUES]
        except redis.RedisError:
            return [_broker_up(0)]
        return [_broker_up(1), _lengths(lengths)]


def _count(session: Session, state: StageState) -> dict[str, int]:
    """How many stages are in a state, by name; the states asked for have an index each."""
    counts = (
        select(col(Stage.name), func.count())
        .where(col(Stage.state) == state)
        .group_by(col(Stage.name))
    )
    return {name: count for name, count in session.execute(counts)}  # noqa: C416


def _ledger_up(value: int) -> Metric:
    return GaugeMetricFamily("neuroscan_ledger_up", "Whether the database answers.", value=value)


def _broker_up(value: int) -> Metric:
    return GaugeMetricFamily("neuroscan_broker_up", "Whether the broker answers.", value=value)


def _ledger_gauges(ledger: _Ledger) -> list[Metric]:
    waiting = GaugeMetricFamily(
        "neuroscan_queue_waiting", "Stages that wait, by queue.", labels=["queue"]
    )
    oldest = GaugeMetricFamily(
        "neuroscan_queue_oldest_seconds",
        "For how long the stage that has waited longest has been due.",
        labels=["queue"],
    )
    for queue in _QUEUES:
        count, seconds = ledger.waiting.get(queue, (0, 0.0))
        waiting.add_metric([queue], count)
        oldest.add_metric([queue], seconds)
    return [
        waiting,
        oldest,
        _by_stage("neuroscan_stages_running", "Stages under a lease.", ledger.running),
        _by_stage("neuroscan_stages_dead", "Stages that failed for good.", ledger.dead),
    ]


def _lengths(lengths: list[tuple[str, int]]) -> Metric:
    family = GaugeMetricFamily(
        "neuroscan_broker_queue_length",
        "Messages in the broker's queues; those of `recorder` are reports of workers too.",
        labels=["queue"],
    )
    for queue, count in lengths:
        family.add_metric([queue], count)
    return family


def _by_stage(name: str, about: str, counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=["stage"])
    for stage in StageName:
        family.add_metric([stage.value], counts.get(stage, 0))
    return family
