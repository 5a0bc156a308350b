"""A stack for the length of a `with`, and the stack that already runs on a folder."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from neuroscan.process import end_with_parent
from neuroscan.stack.errors import NotReadyInTime, StackError
from neuroscan.stack.folder import DataFolder, local_key
from neuroscan.stack.health import is_complete, parse_readiness
from neuroscan.stack.state import StackState, read_state

READY_LIMIT_S = 180.0
_STOP_LIMIT_S = 60.0
_LOOK_EVERY_S = 0.2
_TAIL_LINES = 20


def find_running(data_dir: Path) -> StackState | None:
    """The stack that runs on a folder, or None."""
    folder = DataFolder.at(data_dir)
    return read_state(folder.state) if folder.in_use() else None


class Stack:
    """A launcher in a process of its own, which ends with the block, or with this process.

    Without `data_dir` it lives in a temporary folder that is removed afterwards. The launcher's
    lines go to `log` (`run/up.log` in the data folder by default). Enter it from the main thread:
    the kernel ends the launcher when the thread that started it dies.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        self._temporary = None if data_dir else Path(tempfile.mkdtemp(prefix="neuroscan-data-"))
        self.folder = DataFolder.at(data_dir or self._temporary or Path())
        self.log = log or self.folder.run / "up.log"
        self._port = port
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def start(self) -> None:
        """Start the launcher; returns at once (see `wait_ready`)."""
        self.folder.create()
        command = [sys.executable, "-P", "-m", "neuroscan", "up"]
        command += ["--data-dir", str(self.folder.root), "--port", str(self._port)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=partial(end_with_parent, signal.SIGTERM),  # noqa: PLW1509
            )

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """End the stack in order; returns the launcher's exit code."""
        process = self._require_process()
        process.send_signal(signum)
        try:
            return process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            # The second signal: at once.
            process.send_signal(signum)
            return process.wait(_STOP_LIMIT_S)

    def abandon(self) -> None:
        """Kill the launcher alone, as a crash would."""
        process = self._require_process()
        process.kill()
        process.wait()

    @property
    def launcher_pid(self) -> int:
        """The launcher's process id."""
        return self._require_process().pid

    @property
    def state(self) -> StackState:
        """The stack as it is now; raises `StackError` when it is not running."""
        state = self._own_state()
        if state is None:
            raise StackError(f"No stack runs on {self.folder.root}.")
        return state

    @property
    def key(self) -> str:
        """The API key of the stack's owner."""
        return local_key(self.folder)

    @property
    def url(self) -> str:
        """Where the gateway listens."""
        return self.state.url

    def pid(self, service: str) -> int | None:
        """A service's process id; None while it waits to be started again."""
        return self.state.services[service].pid

    def kill(self, service: str, signum: signal.Signals = signal.SIGKILL) -> int:
        """Signal a service's process; returns its id. Raises `StackError` when it is down."""
        pid = self.pid(service)
        if pid is None:
            raise StackError(f"{service} is not running.")
        os.kill(pid, signum)
        return pid

    def wait_ready(self, timeout_s: float = READY_LIMIT_S) -> str:
        """Wait until every part answers; returns the URL. Raises `NotReadyInTime`."""
        give_up_at = time.monotonic() + timeout_s
        with httpx.Client(trust_env=False, timeout=10) as client:
            while time.monotonic() < give_up_at:
                self._require_alive()
                state = self._own_state()
                # The launcher looks for itself while it starts; no need to ask twice.
                if state and state.ready and not _missing(client, state.url):
                    return state.url
                time.sleep(_LOOK_EVERY_S)
            state = self._own_state()
            missing = _missing(client, state.url) if state else "the servers"
        raise NotReadyInTime(
            f"The stack was not ready within {timeout_s:g} s; still waiting for {missing}. "
            f"The end of its log:\n{self._tail()}"
        )

    def _own_state(self) -> StackState | None:
        """The folder's state, unless it is that of an earlier stack."""
        state = read_state(self.folder.state)
        return state if state and state.launcher_pid == self.launcher_pid else None

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        told = [line for line in lines if "path='/health/" not in line]
        return "\n".join(told[-_TAIL_LINES:])

    def _require_alive(self) -> None:
        if self._require_process().poll() is not None:
            raise StackError(f"The stack ended while it was starting:\n{self._tail()}")

    def _require_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise StackError("The stack was not started.")
        return self._process


def _missing(client: httpx.Client, url: str) -> str:
    """The parts that don't answer yet; empty when all do."""
    try:
        readiness = parse_readiness(client.get(f"{url}/health/ready"))
    except httpx.TransportError:
        return "gateway"
    if readiness is None:
        return "gateway"
    return "" if is_complete(readiness) else readiness.missing() or readiness.status
