"""Send queued stages to the broker, after the commit, without ever holding up a request."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis
from kombu.exceptions import OperationalError
from sqlalchemy import Engine, Update, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col
from structlog.contextvars import bound_contextvars

from neuroscan.contracts.enums import StageState
from neuroscan.contracts.problems import Unavailable
from neuroscan.queues import (
    MARKER_LIFETIME_S,
    broker_client,
    celery_app,
    marker_key,
    message_headers,
    task_name,
)
from neuroscan.settings import BrokerSettings
from neuroscan.telemetry import get_logger
from neuroscan.tracing import Kind, note, span
from services.gateway.db.session import one_statement, transaction
from services.gateway.db.tables import Stage, now
from services.gateway.pipeline.ledger import StageRef
from services.gateway.pipeline.messages import StageMessage, message_of, stage_message
from services.gateway.pipeline.record import Recorded

log = get_logger(__name__)

# Each call to the broker ends within this; the sweeper sends what could not be sent.
_SOCKET_TIMEOUT_S = 0.4


@dataclass(frozen=True)
class Sending:
    """A message that the ledger says was sent at `sent_at`, and that is to be sent right now."""

    ref: StageRef
    message: StageMessage
    sent_at: datetime


class Publisher:
    """Sends stage messages. Thread-safe."""

    def __init__(self, settings: BrokerSettings, engine: Engine, limit: timedelta) -> None:
        self._engine = engine
        self._limit = limit
        self._app = celery_app("publisher", settings, socket_timeout_s=_SOCKET_TIMEOUT_S)
        self._app.conf.broker_transport_options |= {"max_retries": 1, "interval_start": 0}
        self._broker = broker_client(settings, timeout_s=_SOCKET_TIMEOUT_S)
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="publish")

    def publish_soon(self, ref: StageRef | None) -> None:
        """Publish, but come back within the limit whatever the broker does; never raises."""
        if ref is not None:
            # One that has not begun is left to the sweeper, so that none pile up.
            self._soon(ref, lambda: self.publish(ref))

    def publish(self, ref: StageRef) -> bool:
        """Send the stage's message; False when the broker did not take it.

        The time is noted before: a worker's `started` counts only for a stage that was sent.
        """
        with transaction(self._engine) as session:
            message = stage_message(session, ref)
            if message is None:
                return True
            sending = Sending(ref, message, now())
            waiting = _waiting(ref, message.task.attempt)
            session.execute(waiting.values(published_at=sending.sent_at))
        return self._send_or_take_back(sending)

    def prepare(self, session: Session, recorded: Recorded) -> Sending | None:
        """Note the next stage as sent, in the very transaction that queues it.

        To be followed by `send_soon` after the commit; what dies in between leaves a message
        without a marker, which the sweeper finds.
        """
        if recorded.publish is None or recorded.held is None:
            return None
        message = message_of(session, recorded.held, recorded.publish)
        if message is None:
            return None
        stage = recorded.held.stage(recorded.publish)
        stage.published_at = now()
        return Sending(recorded.publish, message, stage.published_at)

    def send_soon(self, sending: Sending | None) -> None:
        """Send what was noted, but come back within the limit; never raises."""
        if sending is not None and not self._soon(
            sending.ref, lambda: self._send_or_take_back(sending)
        ):
            with suppress(Unavailable, SQLAlchemyError):
                self._take_back(sending)

    def _soon(self, ref: StageRef, act: Callable[[], object]) -> bool:
        """Act within the limit, in another thread; False when it has not even begun by then."""
        # In the context of the request or message at hand: its trace goes on.
        publishing = self._threads.submit(copy_context().run, _quietly, ref, act)
        try:
            publishing.result(self._limit.total_seconds())
        except FutureTimeoutError:
            log.warning("publish.slow", scan_id=ref.scan_id, stage=ref.name)
            return not publishing.cancel()
        return True

    def _send_or_take_back(self, sending: Sending) -> bool:
        if self._send(sending.message, sending.ref):
            return True
        self._take_back(sending)
        return False

    def _take_back(self, sending: Sending) -> None:
        """Let the sweeper send it, unless somebody else has sent it since."""
        with one_statement(self._engine) as session:
            waiting = _waiting(sending.ref, sending.message.task.attempt)
            unsent = waiting.where(col(Stage.published_at) == sending.sent_at)
            session.execute(unsent.values(published_at=None))

    def lost_markers(self, keys: list[str]) -> set[str]:
        """Those keys whose marker is gone or was set in a broker process that has since ended.

        Raises `redis.RedisError` when the broker does not answer.
        """
        if not keys:
            return set()
        process = self._broker_process()
        found = self._broker.mget(keys)
        return {key for key, value in zip(keys, found, strict=True) if value != process}

    def broker_answers(self) -> bool:
        """Whether the broker is there."""
        try:
            return self._broker.ping()
        except redis.RedisError:
            return False

    def queue_length(self, queue: str) -> int:
        """Messages that wait in a queue; raises `redis.RedisError`."""
        return self._broker.llen(queue)

    def close(self) -> None:
        """Release threads and connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._app.close()

    def _send(self, message: StageMessage, ref: StageRef) -> bool:
        with (
            bound_contextvars(request_id=message.task.request_id, scan_id=ref.scan_id),
            span(
                f"publish {ref.name}",
                Kind.PRODUCER,
                attributes={"messaging.destination.name": message.queue},
            ),
        ):
            return self._send_now(message, ref)

    def _send_now(self, message: StageMessage, ref: StageRef) -> bool:
        try:
            key = marker_key(ref.scan_id, ref.name, message.task.attempt, ref.track)
            # First the marker: a worker that finds none takes the message for a duplicate.
            self._broker.set(key, self._broker_process(), ex=MARKER_LIFETIME_S)
            self._app.send_task(
                task_name(ref.name),
                args=[message.task.model_dump(mode="json")],
                queue=message.queue,
                headers=message_headers(),
                retry=False,
            )
        except (OperationalError, redis.RedisError, OSError) as error:
            note({}, error=type(error).__name__)
            log.warning("publish.broker_away", scan_id=ref.scan_id, error=type(error).__name__)
            return False
        return True

    def _broker_process(self) -> str:
        return self._broker.info("server")["run_id"]


def _quietly(ref: StageRef, act: Callable[[], object]) -> None:
    try:
        act()
    except (Unavailable, SQLAlchemyError) as error:
        # The stage stays queued in the ledger; the sweeper publishes it.
        log.warning("publish.failed", scan_id=ref.scan_id, error=type(error).__name__)


def _waiting(ref: StageRef, attempt: int) -> Update:
    """An update of the stage, should it still wait for this attempt."""
    return update(Stage).where(
        col(Stage.scan_id) == ref.scan_id,
        col(Stage.track) == ref.track,
        col(Stage.name) == ref.name,
        col(Stage.attempt) == attempt,
        col(Stage.state) == StageState.QUEUED,
    )
