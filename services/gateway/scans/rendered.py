"""Scans as they were shown a moment ago, so that lists don't build the same again and again.

What a scan looks like depends on its row and on what gives it a new version; nothing else. So a
rendering is good for as long as the row says the same, in whichever process that was changed. It is
kept for a minute and within a bound, so that what is deleted does not stay in memory either.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from services.gateway.db.tables import Scan

BYTES_MAX = 16 * 1024 * 1024
LIFETIME_S = 60.0

Key = tuple[object, ...]


class Rendered:
    """JSON of scans by what it depends on. Thread-safe."""

    def __init__(
        self,
        *,
        bytes_max: int = BYTES_MAX,
        lifetime_s: float = LIFETIME_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bytes_max = bytes_max
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._lock = threading.Lock()
        self._bytes = 0
        # In the order in which they were made.
        self._kept: OrderedDict[Key, tuple[float, bytes]] = OrderedDict()

    def known(self, scans: Sequence[Scan]) -> dict[str, bytes]:
        """The renderings that there are, by the scans' ids."""
        with self._lock:
            self._forget()
            found = {scan.id: self._kept.get(_key(scan)) for scan in scans}
        return {scan_id: kept[1] for scan_id, kept in found.items() if kept is not None}

    def keep(self, scan: Scan, content: bytes) -> None:
        """Remember a rendering of the scan as it was read."""
        with self._lock:
            before = self._kept.pop(_key(scan), None)
            self._bytes += len(content) - (len(before[1]) if before else 0)
            self._kept[_key(scan)] = (self._clock(), content)
            self._forget()

    def _forget(self) -> None:
        oldest = self._clock() - self._lifetime_s
        while self._kept:
            made_at, content = next(iter(self._kept.values()))
            if made_at > oldest and self._bytes <= self._bytes_max:
                return
            self._kept.popitem(last=False)
            self._bytes -= len(content)


def _key(scan: Scan) -> Key:
    # Deletions of a batch or of the first scan of a picture leave the version as it is; a database
    # that was restored can come to the same version at another time.
    return (scan.id, scan.version, scan.updated_at, scan.batch_id, scan.duplicate_of)
