"""A circuit breaker: a service that does not answer is left alone for a while."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from neuroscan.contracts.problems import NeuroscanError, StageTimedOut, Unavailable
from neuroscan.telemetry import get_logger

FAILURES_MAX = 3
PAUSE_S = 5.0

log = get_logger(__name__)


class NoAnswer(Unavailable):
    """Nothing came back, unlike from a service that says it is busy."""


class Dropped(NoAnswer):
    """The connection ended after the request was taken: so may have the service, over this one."""

    code = StageTimedOut.code
    title = StageTimedOut.title


class Breaker:
    """Counts calls without an answer; after three in a row one call in five seconds is tried.

    Thread-safe. It may be shared by all callers of a service in a process.
    """

    def __init__(self, service: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._tried_again_at = 0.0

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Around a call, which raises `NoAnswer` when there was none.

        Raises `Unavailable` at once, without the call, while the service is left alone.
        """
        self._admit()
        try:
            yield
        except NoAnswer:
            self._failed()
            raise
        except NeuroscanError:
            # A refusal is an answer.
            self._succeeded()
            raise
        self._succeeded()

    def _admit(self) -> None:
        with self._lock:
            if self._failures < FAILURES_MAX:
                return
            if self._clock() < self._tried_again_at:
                raise Unavailable(f"The {self._service} service has not answered lately.")
            # This call is the trial; the others wait for what comes of it.
            self._tried_again_at = self._clock() + PAUSE_S

    def _failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._tried_again_at = self._clock() + PAUSE_S
            opened = self._failures == FAILURES_MAX
        if opened:
            log.warning("breaker.opened", of=self._service)

    def _succeeded(self) -> None:
        with self._lock:
            closed = self._failures >= FAILURES_MAX
            self._failures = 0
        if closed:
            log.info("breaker.closed", of=self._service)
