"""Ask each part whether it can work, in parallel and with short limits."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import redis
from sqlalchemy import func, text
from sqlmodel import select

from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import StageState
from neuroscan.contracts.health import Health, Part, Readiness
from neuroscan.contracts.model import ModelView
from neuroscan.contracts.problems import Unavailable
from neuroscan.contracts.results import ModelFacts
from neuroscan.queues import BrokerClient, heartbeat_key
from services.gateway.db.session import transaction
from services.gateway.db.tables import Stage, now
from services.gateway.pipeline.assembly import Pipeline

# A part that hangs must not make the question hang: orchestrators give up after a few seconds.
ANSWER_LIMIT_S = 3.5
# Anybody may ask, and each answer asks eight parts: all who ask within this time share one.
SHARED_FOR_S = 1.0

WORKERS = ("recorder", "explain", "spatial")


class Device(Contract):
    """What the network runs on."""

    device: str | None = None
    name: str | None = None


class Queue(Contract):
    """Stages that wait, and for how long the oldest has."""

    waiting: int
    oldest_s: float


class Status(Contract):
    """For a status light."""

    status: Health
    degraded: list[str]
    device: Device
    model: ModelFacts | None
    queue: Queue


class HealthChecks:
    """Checks over the gateway's own connections."""

    def __init__(self, pipeline: Pipeline, broker: BrokerClient) -> None:
        self._pipeline = pipeline
        self._broker = broker
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="health")
        self._asking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readiness")
        self._lock = threading.Lock()
        self._shared: Future[Readiness] | None = None
        self._shared_until = 0.0

    def close(self) -> None:
        """Release the threads."""
        for threads in (self._asking, self._threads):
            threads.shutdown(wait=False, cancel_futures=True)

    def readiness(self) -> Readiness:
        """Every part, asked at the same time; an answer is shared for a second."""
        return self._shared_answer().result()

    async def readiness_soon(self) -> Readiness:
        """As `readiness`; whoever waits holds no thread. Anybody may, as often as he likes."""
        # One who goes away must not take the answer from the others.
        return await asyncio.shield(asyncio.wrap_future(self._shared_answer()))

    def _shared_answer(self) -> "Future[Readiness]":
        """The answer that all share now; perhaps it is still being made."""
        with self._lock:
            shared = self._shared
            if shared is None or (shared.done() and time.monotonic() >= self._shared_until):
                shared = self._shared = self._asking.submit(self._asked)
            return shared

    def _asked(self) -> Readiness:
        checks: dict[str, Callable[[], Part]] = {
            "postgres": self._postgres,
            "object_store": self._object_store,
            "broker": self._broker_part,
            "inference": lambda: _answers(self._pipeline.inference.ready()),
            "reports": lambda: _answers(self._pipeline.reports.ready()),
            **{name: lambda name=name: self._worker(name) for name in WORKERS},  # type: ignore[misc]
        }
        asked = {name: self._threads.submit(check) for name, check in checks.items()}
        ends = time.monotonic() + ANSWER_LIMIT_S
        parts = {name: _in_time(future, ends) for name, future in asked.items()}
        self._shared_until = time.monotonic() + SHARED_FOR_S
        return Readiness(status=_overall(parts), parts=parts)

    def status(self) -> Status:
        """Readiness, device, model and queue."""
        readiness = self.readiness()
        facts = self._pipeline.inference.facts()
        return Status(
            status=readiness.status,
            degraded=[name for name, part in readiness.parts.items() if not part.ok],
            device=Device(device=facts.device, name=facts.device_name) if facts else Device(),
            model=facts.model if facts else None,
            queue=self._queue() if readiness.parts["postgres"].ok else Queue(waiting=0, oldest_s=0),
        )

    def model(self) -> ModelView | None:
        """What the inference service says of its bundle; None when it does not answer."""
        return self._pipeline.inference.facts()

    def _queue(self) -> Queue:
        try:
            with transaction(self._pipeline.engine) as session:
                waiting, oldest = session.exec(
                    select(func.count(), func.min(Stage.available_at)).where(
                        Stage.state == StageState.QUEUED
                    )
                ).one()
        except Unavailable:
            return Queue(waiting=0, oldest_s=0)
        age_s = (now() - oldest).total_seconds() if waiting else 0.0
        return Queue(waiting=waiting, oldest_s=round(max(age_s, 0.0), 1))

    def _postgres(self) -> Part:
        try:
            with transaction(self._pipeline.engine) as session:
                session.execute(text("SELECT 1"))
        except Unavailable as error:
            return Part(ok=False, detail=error.detail)
        return Part(ok=True)

    def _object_store(self) -> Part:
        try:
            self._pipeline.storage.check()
        except Unavailable as error:
            return Part(ok=False, detail=error.detail)
        return Part(ok=True)

    def _broker_part(self) -> Part:
        try:
            self._broker.ping()
        except redis.RedisError:
            return Part(ok=False, detail="The broker does not answer.")
        return Part(ok=True)

    def _worker(self, service: str) -> Part:
        try:
            alive = any(True for _ in self._broker.scan_iter(match=heartbeat_key(service, "*")))
        except redis.RedisError:
            alive = False
        return Part(ok=alive, detail="" if alive else "No worker has reported lately.")


def _overall(parts: dict[str, Part]) -> Health:
    if not (parts["postgres"].ok and parts["object_store"].ok):
        return Health.DOWN
    return Health.OK if all(part.ok for part in parts.values()) else Health.DEGRADED


def _in_time(future: Future[Part], ends: float) -> Part:
    try:
        return future.result(max(ends - time.monotonic(), 0))
    except TimeoutError:
        # A check that has not begun need not any more.
        future.cancel()
        return Part(ok=False, detail="No answer in time.")


def _answers(ok: bool) -> Part:
    return Part(ok=ok, detail="" if ok else "The service does not answer or is not ready.")
