"""The heartbeat of a process that works on queues, and the end of one that has stopped consuming.

Workers have been seen to stop consuming after a broker came back: one that idles for long beside
a queue that is not empty is ended, and whoever supervises it starts a fresh one.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import redis

from neuroscan.process import process_name
from neuroscan.queues import (
    HEARTBEAT_EVERY_S,
    HEARTBEAT_LIFETIME_S,
    broker_client,
    heartbeat_key,
    with_batch_twins,
)
from neuroscan.settings import BrokerSettings
from neuroscan.telemetry import get_logger

STUCK_AFTER_S = 60.0

log = get_logger(__name__)


class Heartbeat:
    """Renews this process's key in the background; calls `end` when the process is stuck.

    `queues` are those it works on, without their batch twins. The work itself happens inside
    `working()`, in any number of threads. The file `HEARTBEAT_FILE` is touched at each beat.
    """

    def __init__(
        self,
        service: str,
        settings: BrokerSettings,
        queues: Sequence[str],
        end: Callable[[], None],
        *,
        every_s: float = HEARTBEAT_EVERY_S,
        stuck_after_s: float = STUCK_AFTER_S,
    ) -> None:
        self._service = service
        self._queues = with_batch_twins(queues)
        self._end = end
        self._every_s = every_s
        self._stuck_after_s = stuck_after_s
        self._broker = broker_client(settings)
        self._lock = threading.Lock()
        self._busy = 0
        self._idle_since = time.monotonic()
        self._waiting_since: float | None = None
        self._stopped = threading.Event()
        file = os.environ.get("HEARTBEAT_FILE")
        self._file = Path(file) if file else None

    def start(self) -> None:
        """Begin to beat, in the process whose heart it is."""
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def stop(self) -> None:
        """Beat no more; the key is gone within seconds."""
        self._stopped.set()

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Whoever is in here is not stuck."""
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                self._idle_since = time.monotonic()

    def _run(self) -> None:
        key = heartbeat_key(self._service, process_name())
        while True:
            # For a container's health check; a lost broker is not this process's illness.
            if self._file is not None:
                self._file.touch()
            with contextlib.suppress(redis.RedisError):
                self._broker.set(key, "1", ex=HEARTBEAT_LIFETIME_S)
                if self._stuck():
                    log.error("worker.stuck", queues=self._queues)
                    self._end()
            if self._stopped.wait(self._every_s):
                return

    def _stuck(self) -> bool:
        with self._lock:
            idle_since = None if self._busy else self._idle_since
        if idle_since is None or not any(self._broker.llen(queue) for queue in self._queues):
            self._waiting_since = None
            return False
        moment = time.monotonic()
        self._waiting_since = self._waiting_since or moment
        return moment - max(self._waiting_since, idle_since) > self._stuck_after_s
