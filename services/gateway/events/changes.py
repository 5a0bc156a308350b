"""Wakes whoever waits for a change of a scan or batch.

One connection a process listens for the ledger's notices (migration 0002). Nobody who waits holds
a connection; each reads again when woken, and every two seconds in case that a notice was lost.
"""

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from sqlalchemy import make_url

from neuroscan.contracts.problems import TooManyRequests
from neuroscan.telemetry import get_logger
from services.gateway.db.session import ANSWER_LIMITS

CHANNEL = "neuroscan"
READ_AGAIN_S = 2.0
# Long polls and streams that one caller may hold in one process.
WAITS_MAX = 100
_RECONNECT_S = 0.5
_PROOF_EVERY_S = 10.0
_PROOF_LIMIT_S = 3.0
_STOPPING_SEEN_S = 0.1

log = get_logger(__name__)


class Watch:
    """What one waiter is woken by. A change between its start and `changed` is not lost."""

    def __init__(self, is_stopped: Callable[[], bool]) -> None:
        self._woken = asyncio.Event()
        self._is_stopped = is_stopped

    def wake(self) -> None:
        """End the wait at hand, or the next one."""
        self._woken.set()

    async def changed(self, timeout_s: float) -> bool:
        """Return when it is time to read again: a change, the timeout, or `READ_AGAIN_S`.

        False at once when the server ends, and with it every wait.
        """
        if not self._is_stopped():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(min(timeout_s, READ_AGAIN_S), 0)):
                    await self._woken.wait()
            self._woken.clear()
        return not self._is_stopped()


class Changes:
    """The waiters of this process and the connection that wakes them. Event loop only."""

    def __init__(
        self, database_url: str, stopping: Callable[[], bool], *, waits_max: int = WAITS_MAX
    ) -> None:
        plain = make_url(database_url).set(drivername="postgresql")
        self._conninfo = make_conninfo(
            plain.render_as_string(hide_password=False),
            application_name="neuroscan-changes",
            **ANSWER_LIMITS,
        )
        self._stopping = stopping
        self._waits_max = waits_max
        self._stopped = False
        self._watches: dict[str, set[Watch]] = defaultdict(set)
        self._waits: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to listen; the database may still be away."""
        self._tasks = [
            asyncio.create_task(self._keep_listening()),
            asyncio.create_task(self._end_with_server()),
        ]

    async def close(self) -> None:
        """End every wait and give the connection back."""
        self._end_waits()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextlib.contextmanager
    def watch(self, subject_id: str, principal_id: str) -> Iterator[Watch]:
        """Watch a scan or batch from now on. To be entered before the first read.

        Raises `TooManyRequests` for a caller who holds too many already.
        """
        if self._waits[principal_id] >= self._waits_max:
            raise TooManyRequests(
                f"This caller waits for {self._waits_max} changes already, which is the most. "
                "End a wait or a stream first.",
                retry_after_s=1,
            )
        watch = Watch(lambda: self._stopped)
        self._waits[principal_id] += 1
        self._watches[subject_id].add(watch)
        try:
            yield watch
        finally:
            self._watches[subject_id].discard(watch)
            if not self._watches[subject_id]:
                del self._watches[subject_id]
            self._waits[principal_id] -= 1
            if not self._waits[principal_id]:
                del self._waits[principal_id]

    async def _keep_listening(self) -> None:
        while True:
            began = time.monotonic()
            try:
                await self._listen()
            except (psycopg.Error, OSError, TimeoutError) as error:
                log.warning("changes.not_listening", error=type(error).__name__)
            except Exception as error:
                # Waiters would go on by reading every two seconds; nobody would start this again.
                log.exception("changes.failed", error=type(error).__name__)
            if time.monotonic() - began < _RECONNECT_S:
                await asyncio.sleep(_RECONNECT_S)

    async def _listen(self) -> None:
        async with await AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
            await connection.execute(f"LISTEN {CHANNEL}")
            # Something may have changed while nobody listened.
            self._wake_all()
            while True:
                async for notice in connection.notifies(timeout=_PROOF_EVERY_S):
                    for subject_id in notice.payload.split():
                        for watch in self._watches.get(subject_id, ()):
                            watch.wake()
                async with asyncio.timeout(_PROOF_LIMIT_S):
                    await connection.execute("SELECT 1")

    async def _end_with_server(self) -> None:
        while not self._stopping():
            await asyncio.sleep(_STOPPING_SEEN_S)
        self._end_waits()

    def _end_waits(self) -> None:
        self._stopped = True
        self._wake_all()

    def _wake_all(self) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.wake()
