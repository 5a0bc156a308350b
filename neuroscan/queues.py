"""The broker: queue names, the Celery application, markers and heartbeats.

A marker is a key that is set just before a stage message is sent and taken by whoever starts the
work. It makes a message exclusive: of two deliveries only one finds the marker. Its value names
the broker's process, so that the sweeper sees at once when a broker lost its memory.
"""

import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from celery import Celery
from celery.exceptions import CPendingDeprecationWarning
from celery.platforms import SecurityWarning
from celery.signals import setup_logging
from redis import Redis
from structlog.contextvars import get_contextvars

from neuroscan.contracts.enums import StageName
from neuroscan.process import process_name
from neuroscan.settings import TASK_TIME_LIMIT_S, BrokerSettings
from neuroscan.telemetry import REQUEST_ID_FIELD
from neuroscan.tracing import TRACE_HEADER, trace_headers

RECORDER_QUEUE = "recorder"
STAGE_QUEUES = {
    StageName.CLASSIFY: RECORDER_QUEUE,
    StageName.EXPLAIN: "explain",
    StageName.MEASURE: "spatial",
    StageName.REPORT: "report",
}
STAGE_TASK = "neuroscan.stage"
EVENT_TASK = "neuroscan.event"

# Above the hard time limit, so that a message comes back only when its worker is really gone.
VISIBILITY_TIMEOUT_S = 60
MARKER_LIFETIME_S = 24 * 3600
HEARTBEAT_EVERY_S = 3
HEARTBEAT_LIFETIME_S = 10


class BrokerClient(Protocol):
    """The few Redis commands that are used beside Celery."""

    def set(self, name: str, value: str, ex: int | None = None) -> object: ...
    def delete(self, *names: str) -> int: ...
    def mget(self, keys: Sequence[str]) -> list[str | None]: ...
    def info(self, section: str) -> dict[str, str]: ...
    def llen(self, name: str) -> int: ...
    def ping(self) -> bool: ...
    def scan_iter(self, match: str) -> Iterable[str]: ...


def batch_twin(queue: str) -> str:
    """The queue for work of batches, which yields to the first."""
    return f"{queue}.batch"


def with_batch_twins(queues: Sequence[str]) -> list[str]:
    """Each queue, then each queue's twin: the order in which they are drained."""
    return [*queues, *(batch_twin(queue) for queue in queues)]


def stage_queue(stage: StageName, *, batch: bool) -> str:
    """The queue of a stage."""
    queue = STAGE_QUEUES[stage]
    return batch_twin(queue) if batch else queue


def task_name(stage: StageName) -> str:
    """The Celery task that does a stage."""
    return f"{STAGE_TASK}.{stage}"


def event_task_name(kind: str) -> str:
    """The recorder's Celery task for `started`, `finished` or `failed`."""
    return f"{EVENT_TASK}.{kind}"


def marker_key(scan_id: str, stage: StageName, attempt: int, track: str = "") -> str:
    """Key that stands while a stage waits in a queue."""
    place = f"{scan_id}:{track}" if track else scan_id
    return f"neuroscan:queued:{place}:{stage}:{attempt}"


def heartbeat_key(service: str, worker: str) -> str:
    """Key that a worker renews while it can work."""
    return f"neuroscan:alive:{service}:{worker}"


def broker_client(settings: BrokerSettings, *, timeout_s: float = 2.0) -> BrokerClient:
    """A client whose every call ends within `timeout_s`; raises `redis.RedisError`."""
    client = Redis.from_url(
        settings.client_url,
        decode_responses=True,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
    )
    return cast("BrokerClient", client)


def celery_app(name: str, settings: BrokerSettings, *, socket_timeout_s: float = 10.0) -> Celery:
    """The Celery application that all parts share: late acknowledgement, no result backend."""
    app = Celery(name, broker=settings.broker_url)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_time_limit=TASK_TIME_LIMIT_S,
        task_create_missing_queues=True,
        worker_prefetch_multiplier=1,
        worker_proc_alive_timeout=120,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "queue_order_strategy": "priority",
            "socket_timeout": socket_timeout_s,
            "socket_connect_timeout": socket_timeout_s,
            "socket_keepalive": True,
        },
    )
    return app


def message_headers() -> dict[str, str]:
    """What ties a message to the request that began it all: the id on the log's lines, the trace.

    In the message's headers, so that processes of an older version read their messages as ever.
    """
    request_id = get_contextvars().get(REQUEST_ID_FIELD)
    return {**({REQUEST_ID_FIELD: request_id} if request_id else {}), **trace_headers()}


def sent_with(task: Any) -> Mapping[str, str]:
    """The `message_headers` that a task came with: Celery's task at hand, or None."""
    request = getattr(task, "request", None)
    found = {name: getattr(request, name, None) for name in (REQUEST_ID_FIELD, TRACE_HEADER)}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def serve(app: Celery, service: str, queues: Sequence[str], *, pool: str, concurrency: int) -> None:
    """Work on the queues and their batch twins until SIGTERM; ends the process."""
    # Celery warns of root because of pickle, which this application does not accept.
    warnings.simplefilter("ignore", SecurityWarning)
    # It advises to cancel tasks when the broker is lost; here they end and report once it is back.
    warnings.simplefilter("ignore", CPendingDeprecationWarning)
    setup_logging.connect(_keep_our_logging, weak=False)
    # Two lines for each message; the stages' own lines say the same with the scan's id.
    logging.getLogger("celery").setLevel(logging.WARNING)
    app.worker_main(
        [
            "--quiet",
            "worker",
            f"--pool={pool}",
            f"--concurrency={concurrency}",
            "--queues=" + ",".join(with_batch_twins(queues)),
            f"--hostname={service}@{process_name()}",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            "--loglevel=WARNING",
        ]
    )


def _keep_our_logging(**_: object) -> None:
    """Being connected is enough: Celery then leaves logging alone."""
