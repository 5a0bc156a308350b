"""The micro-batcher: one bounded queue, and the threads that run the network, its runners.

What waits is shared out among the runners that are free. An item waits for company only when none
is free and a further item is announced, and at most `batch_wait`: who comes alone pays nothing. A
batch that fails is done again item by item, so that one bad item fails alone. An item whose
deadline has passed is not worked on.
"""

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neuroscan.contracts.problems import BadImage, Overloaded, StageFailed, Unavailable
from neuroscan.settings import InferenceSettings
from neuroscan.telemetry import get_logger
from services.inference.engine import Engine, Prediction
from services.inference.metrics import Metrics

log = get_logger(__name__)

# How often an idle runner looks whether it should end.
_IDLE_S = 0.1
# So many slices in a row, each by itself, that the engine could not answer: it is not the slices. A
# card that has lost its memory, for instance, answers nothing until its process has ended.
FAILURES_MAX = 8


class BatcherState(StrEnum):
    """Work is taken only while `ready`."""

    WARMING = "warming"
    READY = "ready"
    FAILED = "failed"
    DRAINING = "draining"
    CLOSED = "closed"


@dataclass(frozen=True, eq=False)
class _Item:
    tensor: Tensor
    deadline: float
    answer: "Future[Prediction]" = field(default_factory=Future)


def share_of(waiting: int, free: int, batch_max: int) -> int:
    """The largest batch for a runner that takes of `waiting` items while `free` others do nothing.

    With none free a batch may wait for company, up to `batch_max`; else it takes what is there.
    """
    return min(batch_max, math.ceil(waiting / (1 + free))) if free else batch_max


class Announced:
    """An item on its way; `Batcher.submit` or the end of `Batcher.coming` closes it."""

    def __init__(self) -> None:
        self.open = True


class Batcher:
    """Takes slices from any thread and answers each with a future.

    `broken` is called once, in a runner's thread, when the engine can't work: then no work is taken
    any more, and only another process may help.
    """

    def __init__(
        self,
        engine: Engine,
        settings: InferenceSettings,
        metrics: Metrics,
        broken: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._metrics = metrics
        self._batch_max = min(settings.batch_max, engine.batch_best or settings.batch_max)
        self._queue: queue.Queue[_Item] = queue.Queue(maxsize=settings.queue_max)
        self._state = BatcherState.WARMING
        # Taking an item and refusing further ones must not cross each other.
        self._gate = threading.Lock()
        self._coming = 0
        self._warm = 0
        self._at_work = 0
        self._failures = 0
        self._given_up = False
        self._broken = broken
        self._runners = [
            threading.Thread(target=self._run, name=f"model-{number}", daemon=True)
            for number in range(1, engine.runners + 1)
        ]
        metrics.watch_queue(self._queue.qsize)

    @property
    def state(self) -> BatcherState:
        """Whether work is taken, and if not, why."""
        return self._state

    def start(self) -> None:
        """Warm the engine up in every runner, then take work."""
        for runner in self._runners:
            runner.start()

    @contextmanager
    def coming(self) -> Iterator[Announced]:
        """Announce an item that is to be submitted within: a batch may wait for it."""
        announced = Announced()
        with self._gate:
            self._coming += 1
        try:
            yield announced
        finally:
            with self._gate:
                self._has_come(announced)

    def _has_come(self, announced: Announced) -> None:
        if announced.open:
            announced.open = False
            self._coming -= 1

    def prepare(self, pixels: NDArray[np.uint8]) -> Tensor:
        """The network's input (1, 3, S, S) of a slice (H, W), made in the caller's thread.

        Raises `BadImage`, and `Unavailable` when the engine could not make it.
        """
        try:
            return self._engine.prepare(pixels)
        except BadImage:
            raise
        except Exception as error:
            log.exception("slice.not_prepared", error=type(error).__name__)
            self._has_failed()
            raise Unavailable("The network could not take the slice.", retry_after_s=2) from error

    def submit(self, tensor: Tensor, announced: Announced | None = None) -> "Future[Prediction]":
        """Queue a preprocessed slice (1, 3, S, S), perhaps one that was announced.

        The future ends in a `Prediction`, or in `Unavailable` (deadline passed) or `StageFailed`.
        Raises `Overloaded` when the queue is full and `Unavailable` when no work is taken.
        """
        item = _Item(tensor, time.monotonic() + self._settings.item_deadline.total_seconds())
        with self._gate:
            if self._state is not BatcherState.READY:
                raise Unavailable(
                    f"The network takes no work: {self._state}. Try again in a few seconds.",
                    retry_after_s=2,
                )
            try:
                if announced:
                    self._has_come(announced)
                self._queue.put_nowait(item)
            except queue.Full as error:
                self._metrics.rejected("queue_full")
                raise Overloaded(retry_after_s=1) from error
        return item.answer

    def close(self, timeout_s: float) -> None:
        """Take no more work, finish what is queued, end the runners.

        Waits for `timeout_s` seconds at most; what is queued then ends in `Unavailable`.
        """
        with self._gate:
            self._state = BatcherState.DRAINING
        ends = time.monotonic() + timeout_s
        for runner in self._runners:
            if runner.is_alive():
                runner.join(max(0.0, ends - time.monotonic()))
        self._state = BatcherState.CLOSED
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return
            if item.answer.set_running_or_notify_cancel():
                item.answer.set_exception(Unavailable("The service is stopping. Try again."))

    def _run(self) -> None:
        try:
            self._engine.warm_up(self._batch_max)
        except Exception as error:
            log.exception("engine.warm_up_failed", error=type(error).__name__)
            self._give_up()
            return
        self._is_warm()
        while self._state in (BatcherState.WARMING, BatcherState.READY) or not self._queue.empty():
            try:
                first = self._queue.get(timeout=_IDLE_S)
            except queue.Empty:
                continue
            with self._working():
                self._answer(self._gather(first))

    def _give_up(self) -> None:
        with self._gate:
            if self._state not in (BatcherState.WARMING, BatcherState.READY):
                return
            self._state = BatcherState.FAILED
            self._given_up = True
        self._broken()

    def _has_failed(self) -> None:
        """Count a slice that the engine failed on by itself; give the engine up after too many."""
        self._metrics.rejected("failed")
        with self._gate:
            self._failures += 1
            failures = self._failures
        if failures >= FAILURES_MAX:
            log.error("engine.broken", failures=failures)
            self._give_up()

    def _is_warm(self) -> None:
        with self._gate:
            self._warm += 1
            if self._warm < len(self._runners) or self._state is not BatcherState.WARMING:
                return
            self._state = BatcherState.READY
        log.info("engine.ready", engine=self._engine.name, device=self._engine.device)

    @contextmanager
    def _working(self) -> Iterator[None]:
        with self._gate:
            self._at_work += 1
        try:
            yield
        finally:
            with self._gate:
                self._at_work -= 1

    def _gather(self, first: _Item) -> list[_Item]:
        """The items that are still wanted of this runner's share of what waits, up to a batch."""
        items = [first]
        free = len(self._runners) - self._at_work
        share = share_of(1 + self._queue.qsize(), free, self._batch_max)
        until = time.monotonic() + self._settings.batch_wait.total_seconds()
        while len(items) < share:
            try:
                left = until - time.monotonic() if self._coming else 0.0
                items.append(self._queue.get(timeout=max(0.0, left)))
            except queue.Empty:
                break
        return [item for item in items if self._still_wanted(item)]

    def _is_crowded(self) -> bool:
        """Whether more is at work, waits or is announced than half of the runners could take."""
        wanted = self._at_work + self._queue.qsize() + self._coming
        return wanted > max(1, len(self._runners) / 2)

    def _still_wanted(self, item: _Item) -> bool:
        if not item.answer.set_running_or_notify_cancel():
            return False
        if self._is_refused(item):
            return False
        if time.monotonic() < item.deadline:
            return True
        self._metrics.rejected("deadline")
        item.answer.set_exception(
            Unavailable("The slice waited too long for the network.", retry_after_s=2)
        )
        return False

    def _is_refused(self, item: _Item) -> bool:
        if self._given_up:
            item.answer.set_exception(Unavailable("The network is broken.", retry_after_s=2))
        return self._given_up

    def _answer(self, batch: Sequence[_Item]) -> None:
        if not batch:
            return
        try:
            predictions = self._predict(batch)
        except Exception as error:
            log.exception("batch.failed", size=len(batch), error=type(error).__name__)
            if len(batch) > 1:
                for item in batch:
                    if not self._is_refused(item):
                        self._answer([item])
            else:
                batch[0].answer.set_exception(StageFailed("The network failed on this slice."))
                self._has_failed()
            return
        with self._gate:
            self._failures = 0
        for item, prediction in zip(batch, predictions, strict=True):
            item.answer.set_result(prediction)

    def _predict(self, batch: Sequence[_Item]) -> list[Prediction]:
        began = time.perf_counter()
        tensors = [item.tensor for item in batch]
        predictions = self._engine.predict(tensors, crowded=self._is_crowded())
        self._metrics.batch_done(len(batch), time.perf_counter() - began)
        if len(predictions) != len(batch):
            raise RuntimeError(f"{len(predictions)} answers for {len(batch)} slices")
        return predictions
