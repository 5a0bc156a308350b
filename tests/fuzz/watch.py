"""Watches the processes of a stack: none may be replaced, none may grow past its limit."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from neuroscan.settings import GatewaySettings
from neuroscan.stack import Stack

_LOOK_EVERY_S = 0.1
# What the gateway may hold: the interpreter with its libraries, and a few uploads at once.
GATEWAY_MIB = 512


@dataclass
class Watched:
    """What was seen: memory at most, by part, and what was wrong in sentences."""

    largest_mib: dict[str, float] = field(default_factory=dict)
    wrongs: list[str] = field(default_factory=list)


class Watch:
    """For the length of a `with`; look at `seen` afterwards."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.seen = Watched()
        self._before = stack.state.services
        self._decoders = _children(self._gateway)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._compare()

    @property
    def _gateway(self) -> int:
        pid = self._before["gateway"].pid
        assert pid is not None
        return pid

    def _run(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            self._look()

    def _look(self) -> None:
        for name, service in self._before.items():
            if service.pid is not None:
                self._note(name, service.pid)
        for pid in _children(self._gateway):
            self._note("decoder", pid)

    def _note(self, part: str, pid: int) -> None:
        # Gone since; `_compare` says so.
        with contextlib.suppress(OSError, StopIteration):
            largest = max(self.seen.largest_mib.get(part, 0.0), _resident_mib(pid))
            self.seen.largest_mib[part] = largest

    def _compare(self) -> None:
        after = self._stack.state.services
        for name, service in self._before.items():
            if after[name] != service:
                self.seen.wrongs.append(f"{name} ended and was started again.")
        if _children(self._gateway) != self._decoders:
            self.seen.wrongs.append("A process of the gateway's ended and was started again.")
        limits = {"gateway": GATEWAY_MIB, "decoder": GatewaySettings().decode_memory_mib}
        for part, limit_mib in limits.items():
            largest_mib = self.seen.largest_mib.get(part, 0.0)
            if largest_mib > limit_mib:
                self.seen.wrongs.append(f"{part} grew to {largest_mib:.0f} of {limit_mib} MiB.")


def _children(pid: int) -> set[int]:
    return set(_walk_children(pid))


def _walk_children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        # A thread may end while one looks.
        with contextlib.suppress(OSError):
            yield from map(int, (task / "children").read_text().split())


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    line = next(each for each in status if each.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
