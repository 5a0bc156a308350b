"""A Celery pool that does one stage: take the message, say `started`, work, report.

The parent process imports neither torch nor OpenCV; `load` runs in each pool child. A worker
knows the object store and the broker, nothing else.
"""

import os
import signal
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import redis
from celery import Celery, current_task
from celery.signals import worker_process_init, worker_process_shutdown
from kombu.exceptions import OperationalError
from structlog.contextvars import bound_contextvars

from neuroscan import worker_metrics
from neuroscan.contracts.enums import StageName
from neuroscan.contracts.messages import Failed, Finished, StageTask, Started
from neuroscan.contracts.problems import NeuroscanError, StageFailed
from neuroscan.contracts.results import ExplainResult
from neuroscan.contracts.spatial import MeasureResult
from neuroscan.heartbeat import Heartbeat
from neuroscan.process import code_version, end_with_parent
from neuroscan.queues import (
    RECORDER_QUEUE,
    STAGE_QUEUES,
    BrokerClient,
    broker_client,
    celery_app,
    event_task_name,
    marker_key,
    message_headers,
    sent_with,
    serve,
    task_name,
)
from neuroscan.settings import BrokerSettings
from neuroscan.telemetry import configure_logs, get_logger
from neuroscan.tracing import Kind, begin_tracing, end_tracing, note, span
from neuroscan.worker_metrics import WorkerMetrics

TaskT = TypeVar("TaskT", bound=StageTask)
Handler = Callable[[TaskT, str], ExplainResult | MeasureResult]

REPORT_RETRIES = {"max_retries": 60, "interval_start": 0.2, "interval_step": 0.3, "interval_max": 2}

log = get_logger(__name__)


@dataclass
class _Child(Generic[TaskT]):
    """What a pool child holds."""

    handler: Handler[TaskT]
    broker: BrokerClient
    heartbeat: Heartbeat


@dataclass
class Worker(Generic[TaskT]):
    """One stage's Celery application and how it is run."""

    service: str
    stage: StageName
    task_type: type[TaskT]
    load: Callable[[], Handler[TaskT]]
    app: Celery
    settings: BrokerSettings
    parent_pid: int = field(default_factory=os.getpid)
    _child: _Child[TaskT] | None = None
    _metrics: WorkerMetrics | None = None

    def run(self) -> None:
        """Serve until SIGTERM; ends the process."""
        configure_logs(self.service)
        self._metrics = worker_metrics.begin()
        serve(
            self.app,
            self.service,
            [STAGE_QUEUES[self.stage]],
            pool="prefork",
            concurrency=int(os.environ.get("WORKER_CONCURRENCY", "1")),
        )

    def do(self, message: dict[str, Any]) -> None:
        """Do one stage message; every outcome but a lost broker ends in a report."""
        task = self.task_type.model_validate(message)
        child = self._require_child()
        with (
            child.heartbeat.working(),
            bound_contextvars(
                request_id=task.request_id, scan_id=task.scan_id, attempt=task.attempt
            ),
            span(f"work {self.stage}", Kind.CONSUMER, headers=sent_with(current_task)),
        ):
            if not self._take_marker(child, task):
                log.info("stage.duplicate_dropped", stage=self.stage)
                if self._metrics:
                    self._metrics.duplicate(self.stage)
                return
            began = time.perf_counter()
            outcome = self._work(child, task)
            if self._metrics:
                self._metrics.done(self.stage, outcome, time.perf_counter() - began)

    def _work(self, child: _Child[TaskT], task: TaskT) -> str:
        """Do it and report; `done`, or the code of the problem."""
        run = uuid.uuid4().hex[:8]
        prefix = f"{task.prefix}-{run}"
        base = {
            "scan_id": task.scan_id,
            "track": task.track,
            "stage": self.stage,
            "attempt": task.attempt,
            "run": run,
        }
        self._report("started", Started(**base, at=datetime.now(UTC)))
        began = time.perf_counter()
        try:
            result = child.handler(task, prefix)
        except NeuroscanError as error:
            log.warning("stage.failed", stage=self.stage, code=error.code)
            note({}, error=error.code)
            self._report("failed", Failed(**base, prefix=prefix, problem=error.problem()))
            return error.code
        except Exception as error:
            log.exception("stage.crashed", stage=self.stage, error=type(error).__name__)
            note({}, error=type(error).__name__)
            self._report("failed", Failed(**base, prefix=prefix, problem=StageFailed().problem()))
            return StageFailed.code
        finished = Finished(
            **base,
            input_digest=task.input_digest,
            code_version=code_version(),
            prefix=prefix,
            result=result,
        )
        self._report("finished", finished)
        elapsed_ms = round((time.perf_counter() - began) * 1000, 1)
        log.info("stage.finished", stage=self.stage, elapsed_ms=elapsed_ms)
        return "done"

    def _report(self, kind: str, message: Started | Finished | Failed) -> None:
        try:
            self.app.send_task(
                event_task_name(kind),
                args=[message.model_dump(mode="json")],
                queue=RECORDER_QUEUE,
                headers=message_headers(),
                retry=True,
                retry_policy=REPORT_RETRIES,
            )
        except OperationalError:
            # The lease runs out and the stage is done again.
            log.warning("stage.report_lost", kind=kind)
            if self._metrics:
                self._metrics.report_lost(self.stage)

    def _take_marker(self, child: _Child[TaskT], task: TaskT) -> bool:
        key = marker_key(task.scan_id, self.stage, task.attempt, task.track)
        try:
            return child.broker.delete(key) > 0
        except redis.RedisError:
            # Without the broker nobody can say who has it; doing it twice is harmless.
            return True

    def _require_child(self) -> _Child[TaskT]:
        if self._child is None:
            self._begin_child()
        assert self._child is not None
        return self._child

    def _begin_child(self, **_: object) -> None:
        """Load what the stage needs, once a pool child, and start its heartbeat."""
        end_with_parent()
        configure_logs(self.service)
        begin_tracing(self.service)
        try:
            handler = self.load()
        except Exception as error:
            # A pool whose children can do nothing would take every message and lose it.
            log.exception("worker.cannot_load", stage=self.stage, error=type(error).__name__)
            self._end_pool()
            raise
        heartbeat = Heartbeat(
            self.service, self.settings, [STAGE_QUEUES[self.stage]], self._end_pool
        )
        heartbeat.start()
        self._child = _Child(handler, broker_client(self.settings), heartbeat)

    def _end_pool(self) -> None:
        """Kill the pool's parent, and with it this child."""
        # Whoever adopts an orphan must not be killed in its parent's place.
        if os.getppid() == self.parent_pid:
            os.kill(self.parent_pid, signal.SIGKILL)


def stage_worker(
    *,
    service: str,
    stage: StageName,
    task_type: type[TaskT],
    load: Callable[[], Handler[TaskT]],
) -> Worker[TaskT]:
    """A worker for one stage. `load` is called in each pool child and returns the handler.

    The handler gets the task and the prefix below which it may write, and returns its result;
    it raises `NeuroscanError` when the stage can't be done.
    """
    settings = BrokerSettings()
    worker = Worker(
        service=service,
        stage=stage,
        task_type=task_type,
        load=load,
        app=celery_app(service, settings),
        settings=settings,
    )
    worker.app.task(name=task_name(stage))(worker.do)
    # Celery keeps weak references to receivers: bound methods need weak=False.
    worker_process_init.connect(worker._begin_child, weak=False)
    worker_process_shutdown.connect(_end_child, weak=False)
    return worker


def _end_child(**_: object) -> None:
    # A pool's child ends without what Python does at an exit.
    end_tracing()
