"""Keeps processes alive, and ends them in order.

Everything happens in the event loop of one thread: the kernel ends a child when the *thread*
that started it dies, so children must be started by a thread that lives as long as the launcher.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from neuroscan.process import end_with_parent
from neuroscan.stack.output import Output

STEADY_S = 30.0


@dataclass(frozen=True)
class Program:
    """One process that is to be kept alive.

    `stop_rank`: lower ranks are stopped first. `stop_signal` asks it to end, `quit_signal` is
    for when nobody wants to wait. `user` is the system user to run as, None for one's own; the
    process stands in `folder` even where that user could not have gone there.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    url: str | None = None
    metrics_url: str | None = None
    user: str | None = None
    folder: Path | None = None
    stop_rank: int = 0
    stop_signal: signal.Signals = signal.SIGTERM
    quit_signal: signal.Signals = signal.SIGKILL
    grace_s: float = 10.0


@dataclass
class Backoff:
    """How long to wait before a dead process is started again: doubling, then from the start."""

    first_s: float = 0.5
    longest_s: float = 10.0
    _next_s: float = field(default=0.0, init=False)

    def after(self, alive_s: float) -> float:
        """Seconds to wait after a life of `alive_s`."""
        if alive_s >= STEADY_S or self._next_s == 0.0:
            self._next_s = self.first_s
        wait_s, self._next_s = self._next_s, min(self._next_s * 2, self.longest_s)
        return wait_s


class Child:
    """One life of a program."""

    def __init__(self, program: Program, output: Output) -> None:
        self.program = program
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - the stack's own programs
            program.argv,
            env=dict(program.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A group of its own: Ctrl-C at the terminal goes to the launcher alone.
            start_new_session=True,
            user=program.user,
            group=program.user,
            extra_groups=[] if program.user else None,
            cwd=program.folder,
            umask=0o077,
            # Runs after the change of user, which would clear it.
            preexec_fn=partial(end_with_parent, program.stop_signal),  # noqa: PLW1509
        )
        assert self._process.stdout is not None
        output.follow(program.name, os.dup(self._process.stdout.fileno()))
        self._process.stdout.close()
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._watch()

    @property
    def pid(self) -> int:
        """The process's id, which is also its group's."""
        return self._process.pid

    @property
    def alive_s(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started_at

    def _watch(self) -> None:
        descriptor = os.pidfd_open(self.pid)
        loop = asyncio.get_running_loop()

        def dead() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            # Before the id is freed: what is left of the group, such as a pool's children.
            self.send_to_group(signal.SIGKILL)
            self._ended.set_result(self._process.wait())

        loop.add_reader(descriptor, dead)

    def send(self, signum: signal.Signals) -> None:
        """Signal the process itself, if it still lives."""
        if not self._ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def send_to_group(self, signum: signal.Signals) -> None:
        """Signal the process and its own children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signum)

    async def ended(self) -> int:
        """Waits for the end; the exit code, negative for a signal."""
        return await asyncio.shield(self._ended)

    async def end(self) -> None:
        """Ask it to end, wait out its grace, then kill the group."""
        self.send(self.program.stop_signal)
        try:
            await asyncio.wait_for(self.ended(), self.program.grace_s)
        except TimeoutError:
            self.send_to_group(signal.SIGKILL)
            await self.ended()


@dataclass
class _Kept:
    """A program, its present life and how often it was started again."""

    program: Program
    child: Child | None = None
    restarts: int = 0
    backoff: Backoff = field(default_factory=Backoff)
    task: "asyncio.Task[None] | None" = None


class Supervisor:
    """Starts programs, starts them again when they die, and stops them in the order of ranks."""

    def __init__(self, output: Output, on_change: Callable[[], None] = lambda: None) -> None:
        self._output = output
        self._on_change = on_change
        self._kept: dict[str, _Kept] = {}
        self._passing: set[Child] = set()

    def keep(self, program: Program) -> None:
        """Start a program and keep it alive; raises `OSError` when it can't be started at all."""
        kept = _Kept(program)
        self._kept[program.name] = kept
        self._begin(kept)
        kept.task = asyncio.create_task(self._keep(kept))

    async def run_once(self, program: Program) -> int:
        """Run a program to its end; returns the exit code."""
        child = Child(program, self._output)
        self._passing.add(child)
        try:
            return await child.ended()
        finally:
            self._passing.discard(child)
            await child.end()

    def programs(self) -> dict[str, tuple[Program, int | None, int]]:
        """By name: the program, its process id (None while it is down), its restarts."""
        return {
            name: (kept.program, kept.child.pid if kept.child else None, kept.restarts)
            for name, kept in self._kept.items()
        }

    def restarts(self, name: str) -> int:
        """How often a program was started again."""
        return self._kept[name].restarts

    async def stop(self) -> None:
        """End everything, rank after rank; within a rank at the same time."""
        for rank in sorted({kept.program.stop_rank for kept in self._kept.values()}):
            await asyncio.gather(
                *(self._end(kept) for kept in self._kept.values() if kept.program.stop_rank == rank)
            )

    def quit(self) -> None:
        """End everything at once."""
        children = [kept.child for kept in self._kept.values() if kept.child is not None]
        for child in [*children, *self._passing]:
            child.send(child.program.quit_signal)
            if child.program.quit_signal is signal.SIGKILL:
                child.send_to_group(signal.SIGKILL)

    def _changed(self) -> None:
        try:
            self._on_change()
        except OSError as error:
            # A full disk must not end the care for the programs.
            self._output.line("neuroscan", f"the stack's state can't be noted: {error.strerror}")

    def _begin(self, kept: _Kept) -> None:
        kept.child = Child(kept.program, self._output)
        self._changed()

    async def _keep(self, kept: _Kept) -> None:
        while True:
            how, alive_s = "can't be started", 0.0
            if kept.child is not None:
                how, alive_s = f"ended ({_how(await kept.child.ended())})", kept.child.alive_s
                kept.child = None
                self._changed()
            wait_s = kept.backoff.after(alive_s)
            self._output.line(
                "neuroscan", f"{kept.program.name} {how}; starting it again in {wait_s:g} s"
            )
            await asyncio.sleep(wait_s)
            kept.restarts += 1
            # Out of memory or of processes: worth another try later.
            with contextlib.suppress(OSError, subprocess.SubprocessError):
                self._begin(kept)

    async def _end(self, kept: _Kept) -> None:
        if kept.task is not None:
            kept.task.cancel()
            await asyncio.wait([kept.task])
        if kept.child is not None:
            await kept.child.end()
            kept.child = None
            self._changed()


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
