"""Decoding in processes of their own, with limits on time and memory.

Each slot is one process behind a pool of its own, used by one caller at a time: a process that is
killed, hangs or breaks its pipe takes no other caller's file with it, and is replaced.
"""

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from pebble import ProcessExpired, ProcessPool

from neuroscan.contracts.enums import DisplayConvention
from neuroscan.contracts.problems import (
    BadImage,
    DecodeLimit,
    NeuroscanError,
    Overloaded,
    Unavailable,
)
from neuroscan.imaging import worker
from neuroscan.imaging.decoded import Decoded
from neuroscan.telemetry import get_logger

# How long a caller waits for a free process, and a task for its process to start.
QUEUE_LIMIT_S = 30.0
START_LIMIT_S = 60.0
_KILLED_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)

T = TypeVar("T")

log = get_logger(__name__)


class _Lost(Exception):
    # The process, or its pool, ended for a reason that is not the task's.
    pass


class _Slot:
    # One process. Only the caller that took the slot may use it.

    def __init__(self, keeper: ThreadPoolExecutor, timeout_s: float, memory_mib: int) -> None:
        self._keeper = keeper
        self._timeout_s = timeout_s
        self._memory_mib = memory_mib
        self._pool: Future[ProcessPool] | None = None

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        # The function's value. Raises TimeoutError, _Lost, and ProcessExpired for a crash.
        future: Future[T] | None = None
        try:
            future = self._live().schedule(function, args=arguments, timeout=self._timeout_s)
            # The pool itself ends a task that takes too long; this is for a pool that is stuck.
            return future.result(timeout=START_LIMIT_S + self._timeout_s)
        except TimeoutError:
            if future is None or not future.done():
                self._replace()
            raise
        except ProcessExpired as error:
            self._replace()
            if error.exitcode in _KILLED_FROM_OUTSIDE:
                raise _Lost from error
            raise
        except (BrokenProcessPool, OSError, RuntimeError) as error:
            self._replace()
            raise _Lost from error

    def close(self) -> None:
        if self._pool is not None:
            _end(self._pool)
            self._pool = None

    def _live(self) -> ProcessPool:
        if self._pool is None or not self._pool.result().active:
            self._replace()
        assert self._pool is not None
        return self._pool.result()

    def _replace(self) -> None:
        # Give the pool up without waiting for it, and start another at once.
        if self._pool is not None:
            threading.Thread(target=_end, args=(self._pool,), daemon=True).start()
        self._pool = self._keeper.submit(self._start)

    def _start(self) -> ProcessPool:
        pool = ProcessPool(
            max_workers=1,
            initializer=worker.prepare,
            initargs=(os.getpid(), self._memory_mib),
            context=multiprocessing.get_context("spawn"),
        )
        # Asking for its state is what starts a pool.
        if not pool.active:
            raise RuntimeError("the decoding process can't be started")
        return pool


class DecodePool:
    """Processes that decode uploads. Safe to call from many threads.

    `timeout_s` bounds one decode, `memory_mib` the address space of one process.
    """

    def __init__(self, processes: int, timeout_s: float, memory_mib: int) -> None:
        # A child is killed with the thread that started it, so one lasting thread starts them all.
        self._keeper = ThreadPoolExecutor(1, thread_name_prefix="decode-keeper")
        self._slots = [_Slot(self._keeper, timeout_s, memory_mib) for _ in range(processes)]
        self._free: queue.LifoQueue[_Slot] = queue.LifoQueue()
        self._closed = threading.Event()
        for slot in self._slots:
            self._free.put(slot)

    def warm_up(self) -> list[int]:
        """Start every process and return their ids; raises `Unavailable` when one won't start."""
        taken = [self._take() for _ in self._slots]
        try:
            with ThreadPoolExecutor(len(taken)) as threads:
                return list(threads.map(lambda slot: slot.call(worker.process_id), taken))
        except (TimeoutError, ProcessExpired, _Lost) as error:
            raise Unavailable("The decoding processes can't be started.") from error
        finally:
            for slot in taken:
                self._free.put(slot)

    def decode(
        self,
        content: bytes,
        *,
        declared_type: str | None = None,
        file_name_suffix: str | None = None,
        frame: int | None = None,
        spacing_mm: tuple[float, float] | None = None,
        convention: DisplayConvention = DisplayConvention.UNKNOWN,
    ) -> Decoded:
        """`neuroscan.imaging.decode.decode` in another process; blocks until it is done.

        Raises what `decode` raises; `DecodeLimit` when it takes too long, too much memory, or ends
        its process; `Overloaded` when no process becomes free; `Unavailable` after `close`.
        """
        task = worker.DecodeTask(
            content, declared_type, file_name_suffix, frame, spacing_mm, convention
        )
        slot = self._take()
        try:
            outcome = _run(slot, task)
        finally:
            self._free.put(slot)
        if isinstance(outcome, NeuroscanError):
            raise outcome
        if isinstance(outcome, worker.Unexpected):
            log.error("decode.unexpected", error_type=outcome.error_type)
            raise BadImage
        return outcome

    def close(self) -> None:
        """Refuse new decodes, wait for those that run (their limit holds), end every process."""
        if self._closed.is_set():
            return
        self._closed.set()
        for _ in self._slots:
            self._free.get().close()
        self._keeper.shutdown()

    def _take(self) -> _Slot:
        if self._closed.is_set():
            raise Unavailable
        try:
            slot = self._free.get(timeout=QUEUE_LIMIT_S)
        except queue.Empty:
            raise Overloaded(retry_after_s=int(QUEUE_LIMIT_S)) from None
        if self._closed.is_set():
            self._free.put(slot)
            raise Unavailable
        return slot


def _run(slot: _Slot, task: worker.DecodeTask) -> worker.Outcome:
    for attempt in (1, 2):
        try:
            return slot.call(worker.run, task)
        except TimeoutError:
            log.warning("decode.timed_out", size=len(task.content))
            break
        except ProcessExpired as error:
            log.warning("decode.crashed", exit_code=error.exitcode, size=len(task.content))
            break
        except _Lost:
            log.warning("decode.process_lost", attempt=attempt, size=len(task.content))
    raise DecodeLimit


def _end(starting: Future[ProcessPool]) -> None:
    if starting.exception() is None:
        pool = starting.result()
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()
