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
from celery import Celery
from celery.exceptions import Reject
from celery.signals import worker_ready, worker_shutting_down

from neuroscan.contracts.enums import StageName
from neuroscan.contracts.messages import Failed, Finished, RecorderTask, Started
from neuroscan.contracts.problems import Unavailable
from neuroscan.heartbeat import Heartbeat
from neuroscan.queues import (
    RECORDER_QUEUE,
    STAGE_QUEUES,
    broker_client,
    celery_app,
    event_task_name,
    marker_key,
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
from neuroscan.telemetry import configure_logs, get_logger
from services.gateway.auth.secrets import ServerSecret
from services.gateway.db.session import transaction
from services.gateway.maintenance.worker import Maintenance
from services.gateway.pipeline import own_stages, record, results
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.sweeper import Sweeper
from services.gateway.webhooks.addresses import AddressRules
from services.gateway.webhooks.dispatcher import Dispatcher
from services.gateway.webhooks.sender import Sender

SERVICE = "recorder"
CONCURRENCY = 4

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
        self._pipeline.save(results.from_message(Finished.model_validate(message)))

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
    """Put a message back when the database or the store is away: it must not be lost."""

    def run(message: dict[str, Any]) -> None:
        with heartbeat.working():
            try:
                work(message)
            except Unavailable as error:
                log.warning("recorder.waits", reason=error.detail)
                time.sleep(1.0)
                raise Reject(error.detail, requeue=True) from error

    run.__name__ = work.__name__
    return run


def main() -> None:
    """Run the recorder until SIGTERM."""
    configure_logs(SERVICE)
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
