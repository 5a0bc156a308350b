"""What is done to a running stack, and how one sees that it has come back.

A fault returns when it is over: what was frozen runs again, what was away is there. Whether every
part has got over it is another matter, which the function that it returns tells.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from neuroscan.queues import broker_client
from neuroscan.settings import BrokerSettings
from neuroscan.stack import Stack

Recovered = Callable[[], bool]
PROCESSES = (
    *("inference", "explain", "spatial", "reports"),
    *("recorder", "gateway", "valkey", "postgres"),
)
_WRITE = 0o222
_UP_WITHIN_S = 10.0


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    name: str
    make: Callable[[Stack], Recovered]


def killed(service: str, signum: signal.Signals = signal.SIGKILL) -> Fault:
    """A process of the stack is killed."""

    def make(stack: Stack) -> Recovered:
        old = running(stack, service)
        os.kill(old, signum)
        return lambda: stack.pid(service) not in (None, old)

    return Fault(f"{service}: {signum.name}", make)


def child_killed(service: str) -> Fault:
    """A process that a service has started itself is killed."""

    def make(stack: Stack) -> Recovered:
        old = pool_child(stack, service)
        os.kill(old, signal.SIGKILL)

        def recovered() -> bool:
            with contextlib.suppress(OSError, IndexError, AssertionError):
                return pool_child(stack, service) != old
            return False

        return recovered

    return Fault(f"{service}'s child: SIGKILL", make)


def frozen(service: str, for_s: float) -> Fault:
    """A process of the stack stands still for a while."""

    def make(stack: Stack) -> Recovered:
        freeze(running(stack, service), for_s)
        return lambda: True

    return Fault(f"{service}: SIGSTOP for {for_s:g} s", make)


def broker_emptied() -> Fault:
    """The broker forgets everything and starts anew."""

    def make(stack: Stack) -> Recovered:
        old = running(stack, "valkey")
        empty_broker(stack)
        os.kill(old, signal.SIGTERM)
        return lambda: stack.pid("valkey") not in (None, old)

    return Fault("valkey: FLUSHALL, restarted", make)


def store_read_only(for_s: float) -> Fault:
    """Nothing can be written into the object store; root could, so this takes another user."""

    def make(stack: Stack) -> Recovered:
        with _read_only(stack.folder.objects):
            time.sleep(for_s)
        return lambda: True

    return Fault(f"object store: read-only for {for_s:g} s", make)


def every_fault() -> list[Fault]:
    """Each process killed in turn, the children too, and every other fault, the long ones early."""
    return [
        frozen("inference", 20),
        store_read_only(10),
        broker_emptied(),
        killed("postgres", signal.SIGINT),
        *(killed(service) for service in PROCESSES),
        *(child_killed(service) for service in ("gateway", "explain", "spatial")),
    ]


def empty_broker(stack: Stack) -> None:
    """Let the broker forget every message and marker."""
    settings = BrokerSettings(broker_url=stack.state.broker_url or "")
    # FLUSHALL is no command of the project's own client.
    broker_client(settings).execute_command("FLUSHALL")  # type: ignore[attr-defined]


def freeze(pid: int, for_s: float) -> None:
    """Stop a process, and let it go on if it is still there."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(for_s)
    with contextlib.suppress(ProcessLookupError):
        # A pool ends a child that takes too long.
        os.kill(pid, signal.SIGCONT)


def running(stack: Stack, service: str) -> int:
    """The process of a service, once it is up."""
    ends = time.monotonic() + _UP_WITHIN_S
    while (pid := stack.pid(service)) is None:
        assert time.monotonic() < ends, f"{service} does not come back"
        time.sleep(0.05)
    return pid


def pool_child(stack: Stack, service: str) -> int:
    """A process that a service has started: a pool's worker, the gateway's decoder."""
    parent = running(stack, service)
    children: list[int] = []
    for task in Path(f"/proc/{parent}/task").iterdir():
        children += map(int, (task / "children").read_text().split())
    # multiprocessing's tracker of resources is the only child that does no work.
    working = [pid for pid in sorted(children) if b"resource_tracker" not in _command(pid)]
    return working[0]


def _command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@contextlib.contextmanager
def _read_only(root: Path) -> Iterator[None]:
    folders = [Path(found) for found, _, _ in os.walk(root)]
    modes = {folder: folder.stat().st_mode for folder in folders}
    for folder, mode in modes.items():
        folder.chmod(mode & ~_WRITE)
    try:
        yield
    finally:
        for folder, mode in modes.items():
            with contextlib.suppress(FileNotFoundError):
                folder.chmod(mode)
