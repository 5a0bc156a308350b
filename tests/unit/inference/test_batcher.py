"""The micro-batcher: bounds, deadlines, failures, draining."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroscan.contracts.problems import BadImage, Overloaded, StageFailed, Unavailable
from neuroscan.settings import InferenceSettings
from services.inference.batcher import FAILURES_MAX, Batcher, BatcherState, share_of
from services.inference.engine import Prediction
from services.inference.metrics import Metrics

POISON = -1.0


class SteeredEngine:
    """An engine whose pace the test sets; a slice's first value comes back as its distance."""

    name = "steered"
    device = "none"
    device_name: str | None = None
    precision = "float32"
    batch_best: int | None = None
    runners = 1

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.sizes: list[int] = []
        self.crowded: list[bool] = []
        self.threads: set[str] = set()
        self.warm = threading.Event()
        self.warm.set()

    def prepare(self, pixels: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(pixels)

    def warm_up(self, batch_max: int) -> None:
        assert batch_max >= 1
        self.warm.wait(5)
        self.threads.add(threading.current_thread().name)

    def predict(self, batch: Sequence[Tensor], *, crowded: bool = False) -> list[Prediction]:
        self.crowded.append(crowded)
        self.sizes.append(len(batch))
        self.threads.add(threading.current_thread().name)
        self.go.wait(5)
        values = [float(tensor.flatten()[0]) for tensor in batch]
        if POISON in values:
            raise RuntimeError("poison")
        return [Prediction((0.7, 0.1, 0.1, 0.1), distance=value) for value in values]


def tensor(value: float) -> Tensor:
    return torch.full((1, 3, 4, 4), value)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 5 s"
        time.sleep(0.005)


@pytest.fixture
def engine() -> SteeredEngine:
    return SteeredEngine()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def start(engine: SteeredEngine, metrics: Metrics) -> Iterator[Callable[..., Batcher]]:
    running: list[Batcher] = []

    def begin(**settings: object) -> Batcher:
        batcher = Batcher(engine, InferenceSettings.model_validate(settings), metrics)
        running.append(batcher)
        batcher.start()
        until(lambda: batcher.state is not BatcherState.WARMING)
        return batcher

    yield begin
    engine.go.set()
    for batcher in running:
        batcher.close(5)


def test_what_waits_together_is_computed_together_in_order(
    start: Callable[..., Batcher], engine: SteeredEngine
) -> None:
    batcher = start(batch_max=8)
    engine.go.clear()
    first = batcher.submit(tensor(100))
    until(lambda: engine.sizes == [1])
    others = [batcher.submit(tensor(value)) for value in range(20)]
    engine.go.set()
    assert first.result(5).distance == 100
    assert [other.result(5).distance for other in others] == list(range(20))
    assert engine.sizes == [1, 8, 8, 4]
    assert engine.threads == {"model-1"}


def test_a_full_queue_refuses_and_says_when_to_come_back(
    start: Callable[..., Batcher], engine: SteeredEngine, metrics: Metrics
) -> None:
    batcher = start(queue_max=3, batch_max=1)
    engine.go.clear()
    taken = [batcher.submit(tensor(0))]
    until(lambda: engine.sizes == [1])
    taken += [batcher.submit(tensor(value)) for value in (1, 2, 3)]
    with pytest.raises(Overloaded) as caught:
        batcher.submit(tensor(4))
    assert caught.value.retry_after_s == 1
    assert b'rejections_total{reason="queue_full"} 1.0' in metrics.text()
    assert b"queue_length 3.0" in metrics.text()
    engine.go.set()
    assert [item.result(5).distance for item in taken] == [0, 1, 2, 3]


def test_a_bad_slice_fails_alone(start: Callable[..., Batcher], engine: SteeredEngine) -> None:
    batcher = start(batch_max=8)
    engine.go.clear()
    first = batcher.submit(tensor(9))
    until(lambda: engine.sizes == [1])
    values = [1.0, 2.0, POISON, 3.0]
    futures = [batcher.submit(tensor(value)) for value in values]
    engine.go.set()
    assert first.result(5).distance == 9
    assert [futures[index].result(5).distance for index in (0, 1, 3)] == [1, 2, 3]
    with pytest.raises(StageFailed):
        futures[2].result(5)
    assert engine.sizes == [1, 4, 1, 1, 1, 1]
    assert batcher.submit(tensor(5)).result(5).distance == 5


def test_a_slice_that_waited_too_long_is_not_computed(
    start: Callable[..., Batcher], engine: SteeredEngine
) -> None:
    batcher = start(batch_max=1, item_deadline=timedelta(milliseconds=50))
    engine.go.clear()
    first = batcher.submit(tensor(1))
    until(lambda: engine.sizes == [1])
    late = batcher.submit(tensor(2))
    time.sleep(0.1)
    engine.go.set()
    assert first.result(5).distance == 1
    with pytest.raises(Unavailable, match="waited too long"):
        late.result(5)
    assert engine.sizes == [1]


def test_a_caller_who_gave_up_costs_nothing(
    start: Callable[..., Batcher], engine: SteeredEngine
) -> None:
    batcher = start(batch_max=1)
    engine.go.clear()
    first = batcher.submit(tensor(1))
    until(lambda: engine.sizes == [1])
    given_up = batcher.submit(tensor(2))
    assert given_up.cancel()
    last = batcher.submit(tensor(3))
    engine.go.set()
    assert first.result(5).distance == 1
    assert last.result(5).distance == 3
    assert engine.sizes == [1, 1]


def test_closing_finishes_what_is_queued_and_takes_no_more(
    start: Callable[..., Batcher], engine: SteeredEngine
) -> None:
    batcher = start(batch_max=2)
    engine.go.clear()
    futures = [batcher.submit(tensor(value)) for value in range(5)]
    closing = threading.Thread(target=batcher.close, args=(5,))
    closing.start()
    until(lambda: batcher.state is BatcherState.DRAINING)
    with pytest.raises(Unavailable, match="draining"):
        batcher.submit(tensor(9))
    engine.go.set()
    closing.join(5)
    assert [future.result(0).distance for future in futures] == list(range(5))
    assert batcher.state is BatcherState.CLOSED


def test_what_can_not_be_finished_in_time_is_told(
    start: Callable[..., Batcher], engine: SteeredEngine
) -> None:
    batcher = start(batch_max=1)
    engine.go.clear()
    batcher.submit(tensor(0))
    until(lambda: engine.sizes == [1])
    waiting = batcher.submit(tensor(1))
    batcher.close(0.05)
    with pytest.raises(Unavailable, match="stopping"):
        waiting.result(1)


def test_no_work_is_taken_before_the_warm_up(engine: SteeredEngine, metrics: Metrics) -> None:
    engine.warm.clear()
    batcher = Batcher(engine, InferenceSettings(), metrics)
    batcher.start()
    with pytest.raises(Unavailable, match="warming"):
        batcher.submit(tensor(1))
    engine.warm.set()
    until(lambda: batcher.state is BatcherState.READY)
    assert batcher.submit(tensor(1)).result(5).distance == 1
    batcher.close(5)


def test_a_failed_warm_up_takes_no_work(engine: SteeredEngine, metrics: Metrics) -> None:
    def fail(batch_max: int) -> None:
        raise RuntimeError("no device")

    engine.warm_up = fail  # type: ignore[method-assign]  # this one engine fails
    broken = threading.Event()
    batcher = Batcher(engine, InferenceSettings(), metrics, broken.set)
    batcher.start()
    until(broken.is_set)
    with pytest.raises(Unavailable, match="failed"):
        batcher.submit(tensor(1))
    batcher.close(1)


def test_an_engine_that_answers_nothing_any_more_is_given_up(
    engine: SteeredEngine, metrics: Metrics
) -> None:
    calls: list[BatcherState] = []
    batcher = Batcher(
        engine, InferenceSettings(batch_max=1), metrics, lambda: calls.append(batcher.state)
    )
    batcher.start()
    until(lambda: batcher.state is BatcherState.READY)

    def fail(times: int) -> None:
        for _ in range(times):
            with pytest.raises(StageFailed):
                batcher.submit(tensor(POISON)).result(5)

    fail(FAILURES_MAX - 1)
    # One answer in between, and it was the slices.
    assert batcher.submit(tensor(1)).result(5).distance == 1
    fail(FAILURES_MAX - 1)
    assert batcher.state is BatcherState.READY
    engine.go.clear()
    last = batcher.submit(tensor(POISON))
    waiting = batcher.submit(tensor(1))
    engine.go.set()
    with pytest.raises(StageFailed):
        last.result(5)
    with pytest.raises(Unavailable, match="broken"):
        waiting.result(5)
    with pytest.raises(Unavailable, match="failed"):
        batcher.submit(tensor(1))
    assert calls == [BatcherState.FAILED]
    batcher.close(1)


def test_an_engine_that_prepares_nothing_any_more_is_given_up(
    engine: SteeredEngine, metrics: Metrics
) -> None:
    def fail(pixels: NDArray[np.uint8]) -> Tensor:
        raise RuntimeError("an illegal memory access was encountered")

    def refuse(pixels: NDArray[np.uint8]) -> Tensor:
        raise BadImage

    broken = threading.Event()
    batcher = Batcher(engine, InferenceSettings(), metrics, broken.set)
    batcher.start()
    until(lambda: batcher.state is BatcherState.READY)
    pixels = np.zeros((4, 4), np.uint8)
    engine.prepare = refuse  # type: ignore[method-assign]
    for _ in range(FAILURES_MAX):
        with pytest.raises(BadImage):
            batcher.prepare(pixels)
    assert not broken.is_set()
    engine.prepare = fail  # type: ignore[method-assign]
    for _ in range(FAILURES_MAX):
        with pytest.raises(Unavailable):
            batcher.prepare(pixels)
    assert broken.is_set()
    assert batcher.state is BatcherState.FAILED
    assert f'rejections_total{{reason="failed"}} {FAILURES_MAX}.0'.encode() in metrics.text()
    batcher.close(1)


def test_what_is_left_of_a_batch_spends_nothing_once_the_engine_is_given_up(
    engine: SteeredEngine, metrics: Metrics
) -> None:
    count = FAILURES_MAX + 4
    batcher = Batcher(engine, InferenceSettings(batch_max=count), metrics)
    batcher.start()
    until(lambda: batcher.state is BatcherState.READY)
    engine.go.clear()
    first = batcher.submit(tensor(1))
    until(lambda: engine.sizes == [1])
    answers = [batcher.submit(tensor(POISON)) for _ in range(count)]
    engine.go.set()
    assert first.result(5).distance == 1
    ends = [type(answer.exception(60)) for answer in answers]
    assert ends == [StageFailed] * FAILURES_MAX + [Unavailable] * 4
    assert engine.sizes == [1, count] + [1] * FAILURES_MAX
    batcher.close(1)


def test_many_callers_each_get_their_own_answer(start: Callable[..., Batcher]) -> None:
    batcher = start(batch_max=4, queue_max=500)
    answers: dict[int, float] = {}

    def call(value: int) -> None:
        answers[value] = batcher.submit(tensor(value)).result(5).distance

    callers = [threading.Thread(target=call, args=(value,)) for value in range(1, 101)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert answers == {value: float(value) for value in range(1, 101)}


def test_who_comes_alone_waits_for_nobody(start: Callable[..., Batcher]) -> None:
    batcher = start(batch_wait=timedelta(seconds=3))
    began = time.monotonic()
    assert batcher.submit(tensor(1)).result(5).distance == 1
    assert time.monotonic() - began < 1


def test_a_batch_waits_for_who_is_announced(
    start: Callable[..., Batcher], engine: SteeredEngine
) -> None:
    batcher = start(batch_max=2, batch_wait=timedelta(seconds=3))
    with batcher.coming():
        first = batcher.submit(tensor(1))
        time.sleep(0.1)
        second = batcher.submit(tensor(2))
    assert (first.result(5).distance, second.result(5).distance) == (1, 2)
    assert engine.sizes == [2]


def test_a_batch_is_no_larger_than_the_engine_gains_by(
    start: Callable[..., Batcher], engine: SteeredEngine
) -> None:
    engine.batch_best = 2
    batcher = start(batch_max=8)
    engine.go.clear()
    answers = [batcher.submit(tensor(0))]
    until(lambda: engine.sizes == [1])
    answers += [batcher.submit(tensor(value)) for value in range(1, 6)]
    engine.go.set()
    assert [answer.result(5).distance for answer in answers] == list(range(6))
    assert engine.sizes == [1, 2, 2, 1]


def test_runners_work_at_the_same_time_and_know_of_one_another(
    start: Callable[..., Batcher], engine: SteeredEngine
) -> None:
    engine.runners = 2
    batcher = start()
    assert batcher.submit(tensor(1)).result(5).distance == 1
    # The first runner has the answer out a moment before it is free.
    time.sleep(0.1)
    engine.go.clear()
    answers = [batcher.submit(tensor(2))]
    until(lambda: len(engine.sizes) == 2)
    answers.append(batcher.submit(tensor(3)))
    until(lambda: len(engine.sizes) == 3)
    answers += [batcher.submit(tensor(value)) for value in (4, 5, 6)]
    engine.go.set()
    assert [answer.result(5).distance for answer in answers] == [2, 3, 4, 5, 6]
    assert engine.sizes[:3] == [1, 1, 1]
    assert engine.crowded[:3] == [False, False, True]
    assert engine.threads == {"model-1", "model-2"}


def test_nobody_waits_for_company_while_a_runner_is_free(
    start: Callable[..., Batcher], engine: SteeredEngine
) -> None:
    engine.runners = 2
    batcher = start(batch_wait=timedelta(seconds=3))
    with batcher.coming():
        began = time.monotonic()
        assert batcher.submit(tensor(1)).result(5).distance == 1
        assert time.monotonic() - began < 1
    # Who is announced will want a core.
    assert engine.crowded == [True]


def test_who_has_come_is_not_waited_for(
    start: Callable[..., Batcher], engine: SteeredEngine
) -> None:
    batcher = start(batch_max=2, batch_wait=timedelta(seconds=3))
    with batcher.coming() as announced:
        began = time.monotonic()
        assert batcher.submit(tensor(1), announced).result(5).distance == 1
        assert time.monotonic() - began < 1
    # It is counted once: the next one who is announced is waited for.
    with batcher.coming() as announced:
        first = batcher.submit(tensor(2))
        time.sleep(0.1)
        second = batcher.submit(tensor(3), announced)
    assert (first.result(5).distance, second.result(5).distance) == (2, 3)
    assert engine.sizes == [1, 2]


@pytest.mark.parametrize(
    ("waiting", "free", "share"),
    [(1, 0, 4), (9, 0, 4), (1, 1, 1), (2, 1, 1), (3, 1, 2), (4, 3, 1), (20, 1, 4)],
)
def test_what_waits_is_shared_out(waiting: int, free: int, share: int) -> None:
    assert share_of(waiting, free, batch_max=4) == share


def test_no_work_is_taken_before_every_runner_is_warm(
    engine: SteeredEngine, metrics: Metrics
) -> None:
    engine.runners = 2
    second = threading.Event()
    warm_up = engine.warm_up

    def slowly(batch_max: int) -> None:
        warm_up(batch_max)
        if threading.current_thread().name == "model-2":
            second.wait(5)

    engine.warm_up = slowly  # type: ignore[method-assign]  # one runner takes its time
    batcher = Batcher(engine, InferenceSettings(), metrics)
    batcher.start()
    until(lambda: len(engine.threads) == 2)
    time.sleep(0.2)
    assert batcher.state is BatcherState.WARMING
    second.set()
    until(lambda: batcher.state is BatcherState.READY)
    batcher.close(5)
