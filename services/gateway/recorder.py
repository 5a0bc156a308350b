"""`python -m services.gateway.recorder`: the gateway's own worker, the only writer of results.

A pool of threads takes the workers' messages and does the two stages that are HTTP calls; beside
it the sweeper mends what fell through and the dispatcher sends webhooks' notices. It ends on
SIGTERM after the tasks at hand.
"""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import redis
import structlog
from celery import Celery, current_task
from celery.exceptions import Reject
from celery.signals import worker_ready, worker_shutting_down
from prometheus_client import REGISTRY, Counter, Histogram

from neuroscan.contracts.enums import StageName
from neuroscan.contracts.messages import Failed, Finished, RecorderTask, Started
from neuroscan.contracts.problems import Unavailable
from neuroscan.heartbeat import Heartbeat
from neuroscan.metrics import serve_metrics
from neuroscan.queues import (
    RECORDER_QUEUE,
    STAGE_QUEUES,
    broker_client,
    celery_app,
    event_task_name,
    marker_key,
    sent_with,
    serve,
    task_name,
)
from neuroscan.settings import (
    BrokerSettings,
    GatewaySettings,
    RetentionSettings,
    SecretSettings,
    WebhookSettings,
)
from neuroscan.telemetry import REQUEST_ID_FIELD, configure_logs, get_logger
from neuroscan.tracing import Kind, begin_tracing, span
from services.gateway.auth.secrets import ServerSecret
from services.gateway.db.session import transaction
from services.gateway.maintenance.worker import Maintenance
from services.gateway.pipeline import own_stages, record, results
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.backlog import Backlog
from services.gateway.pipeline.sweeper import Sweeper
from services.gateway.webhooks.addresses import AddressRules
from services.gateway.webhooks.dispatcher import Dispatcher
from services.gateway.webhooks.sender import Sender

SERVICE = "recorder"
CONCURRENCY = 4

_MESSAGE_SECONDS = Histogram(
    "neuroscan_recorder_message_seconds",
    "Time for a message, by kind: reports of workers, and the stages done here.",
    ["kind"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 25),
)
_MESSAGES_PUT_BACK = Counter(
    "neuroscan_recorder_messages_put_back",
    "Messages put back because the database or the store was away.",
    ["kind"],
)

log = get_logger(__name__)


class Recorder:
    """The tasks, bound to one pipeline."""

    def __init__(
        self, pipeline: Pipeline, broker_settings: BrokerSettings, heartbeat: Heartbeat
    ) -> None:
        self._pipeline = pipeline
        self._heartbeat = heartbeat
        self._broker = broker_client(broker_settings)

    def register(self, app: Celery) -> None:
        """Make the tasks known to Celery."""
        tasks = {
            event_task_name("started"): self.started,
            event_task_name("finished"): self.finished,
            event_task_name("failed"): self.failed,
            task_name(StageName.CLASSIFY): self.classify,
            task_name(StageName.REPORT): self.report,
        }
        for name, work in tasks.items():
            app.task(name=name)(_persistent(work, self._heartbeat))

    def started(self, message: dict[str, Any]) -> None:
        """A worker has begun."""
        started = Started.model_validate(message)
        with transaction(self._pipeline.engine) as session:
            record.started(session, started, self._pipeline.settings.lease)

    def finished(self, message: dict[str, Any]) -> None:
        """A worker is done."""
        finished = Finished.model_validate(message)
        self._pipeline.save(results.from_message(finished))
        log.info("stage.recorded", stage=finished.stage, attempt=finished.attempt)

    def failed(self, message: dict[str, Any]) -> None:
        """A worker could not do it."""
        failed = Failed.model_validate(message)
        with transaction(self._pipeline.engine) as session:
            recorded = record.failed(session, failed, self._pipeline.settings.attempts_max)
        self._pipeline.follow(recorded)

    def classify(self, message: dict[str, Any]) -> None:
        """Classify from the queue."""
        self._own_stage(RecorderTask.model_validate(message), own_stages.classify)

    def report(self, message: dict[str, Any]) -> None:
        """Make the PDF."""
        self._own_stage(RecorderTask.model_validate(message), own_stages.report)

    def _own_stage(
        self, task: RecorderTask, work: Callable[[Pipeline, RecorderTask], None]
    ) -> None:
        # Only the ledger decides here whether the stage still waits; the marker just goes.
        try:
            self._broker.delete(marker_key(task.scan_id, task.stage, task.attempt, task.track))
        except redis.RedisError:
            log.warning("recorder.marker_not_deleted", scan_id=task.scan_id)
        with structlog.contextvars.bound_contextvars(
            request_id=task.request_id, scan_id=task.scan_id
        ):
            work(self._pipeline, task)


def _persistent(
    work: Callable[[dict[str, Any]], None], heartbeat: Heartbeat
) -> Callable[[dict[str, Any]], None]:
    """Put a message back when the database or the store is away: it must not be lost.

    It is worked on under the request's id and in the trace that came with it.
    """
    name = work.__name__

    def run(message: dict[str, Any]) -> None:
        headers = sent_with(current_task)
        bound = {"scan_id": message.get("scan_id"), REQUEST_ID_FIELD: headers.get(REQUEST_ID_FIELD)}
        with (
            heartbeat.working(),
            structlog.contextvars.bound_contextvars(**{k: v for k, v in bound.items() if v}),
            span(f"record {name}", Kind.CONSUMER, headers=headers),
            _MESSAGE_SECONDS.labels(name).time(),
        ):
            try:
                work(message)
            except Unavailable as error:
                _MESSAGES_PUT_BACK.labels(name).inc()
                log.warning("recorder.waits", reason=error.detail)
                time.sleep(1.0)
                raise Reject(error.detail, requeue=True) from error

    run.__name__ = name
    return run


def main() -> None:
    """Run the recorder until SIGTERM."""
    configure_logs(SERVICE)
    begin_tracing(SERVICE)
    settings, broker_settings = GatewaySettings(), BrokerSettings()
    pipeline = Pipeline.open(settings, pool_size=CONCURRENCY + 10)
    app = celery_app(SERVICE, broker_settings)
    queues = [RECORDER_QUEUE, STAGE_QUEUES[StageName.REPORT]]
    heartbeat = Heartbeat(SERVICE, broker_settings, queues, _end)
    Recorder(pipeline, broker_settings, heartbeat).register(app)
    sweeper = Sweeper(pipeline.engine, pipeline.publisher, pipeline.storage, settings)
    sender = Sender(AddressRules(WebhookSettings().webhook_allowed_networks))
    dispatcher = Dispatcher(pipeline.engine, ServerSecret(SecretSettings().read()), sender)

    maintenance = Maintenance(pipeline, RetentionSettings())

    REGISTRY.register(Backlog(pipeline.engine, broker_client(broker_settings)))
    serve_metrics()

    def begin(**_: object) -> None:
        sweeper.start()
        maintenance.start()
        dispatcher.start()
        heartbeat.start()

    def end(**_: object) -> None:
        heartbeat.stop()
        maintenance.stop()
        dispatcher.stop()
        sweeper.stop()

    worker_ready.connect(begin, weak=False)
    worker_shutting_down.connect(end, weak=False)
    serve(app, SERVICE, queues, pool="threads", concurrency=CONCURRENCY)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
