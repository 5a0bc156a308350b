"""`neuroscan up`: starts the servers and services, keeps them alive, and ends them in order."""

import asyncio
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from neuroscan import NOTICE
from neuroscan.client import Client, ClientError
from neuroscan.stack.errors import ServerFailed
from neuroscan.stack.folder import (
    SOCKET_FOLDER_PREFIX,
    DataFolder,
    local_key,
    new_socket_folder,
)
from neuroscan.stack.health import is_complete, parse_readiness
from neuroscan.stack.leftovers import end_leftovers
from neuroscan.stack.output import Output
from neuroscan.stack.ports import free_ports, origin, require_free, require_loopback
from neuroscan.stack.postgres import EmbeddedPostgres, embedded_postgres
from neuroscan.stack.services import (
    EARLY,
    LATE,
    MEASURED,
    SERVED,
    Addresses,
    service_program,
)
from neuroscan.stack.state import ServiceState, StackState, read_state, write_state
from neuroscan.stack.supervisor import Supervisor
from neuroscan.stack.valkey import EmbeddedValkey

_LOOK_EVERY_S = 0.5
_COMPLAIN_AFTER_S = 40.0


@dataclass(frozen=True)
class LaunchOptions:
    """What `neuroscan up` was asked for; port 0 means any free one."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000


def launch(options: LaunchOptions, environment: Mapping[str, str]) -> None:
    """Run the stack until SIGINT, SIGTERM or SIGHUP; raises `StackError`.

    Must run in the main thread (see `supervisor`). A second signal ends everything at once.
    """
    host = require_loopback(options.host)
    folder = DataFolder.at(options.data_dir)
    folder.create()
    output = Output()
    with folder.locked():
        if count := end_leftovers(folder):
            output.line("neuroscan", f"ended {count} processes of an earlier stack")
        _remove_old_sockets(folder)
        # After the cleaning: a leftover gateway may have held the port.
        port = options.port or free_ports(1, host)[0]
        require_free(host, port)
        sockets = new_socket_folder()
        try:
            launcher = Launcher(folder, host, port, sockets, environment, output)
            asyncio.run(launcher.run())
        finally:
            folder.state.unlink(missing_ok=True)
            shutil.rmtree(sockets, ignore_errors=True)


def _remove_old_sockets(folder: DataFolder) -> None:
    """Remove the socket folder that a killed launcher noted, if it is one and ours."""
    state = read_state(folder.state)
    folder.state.unlink(missing_ok=True)
    if state is None or not state.socket_folder.name.startswith(SOCKET_FOLDER_PREFIX):
        return
    with contextlib.suppress(FileNotFoundError):
        if state.socket_folder.lstat().st_uid == os.geteuid():
            shutil.rmtree(state.socket_folder, ignore_errors=True)


class Launcher:
    """One run of the stack."""

    def __init__(
        self,
        folder: DataFolder,
        host: str,
        port: int,
        sockets: Path,
        environment: Mapping[str, str],
        output: Output,
    ) -> None:
        self._folder = folder
        self._environment = environment
        self._sockets = sockets
        self._output = output
        self._postgres: EmbeddedPostgres | None = None
        self._valkey: EmbeddedValkey | None = None
        self._url = origin(host, port)
        self._addresses = self._choose(host, port)
        self._supervisor = Supervisor(output, self._note)
        self._began = time.monotonic()
        self._started_at = datetime.now(UTC)
        self._ready = False
        self._signals = 0

    def _choose(self, host: str, port: int) -> Addresses:
        """Outside servers where the environment names them, embedded ones where it does not."""
        database_url = self._environment.get("DATABASE_URL")
        owner_url = self._environment.get("DATABASE_OWNER_URL") or database_url
        if not database_url or not owner_url:
            self._postgres = embedded_postgres(self._folder, self._sockets / "db", self._output)
            database_url, owner_url = self._postgres.database_url, self._postgres.owner_url
        broker_url = self._environment.get("BROKER_URL")
        if not broker_url:
            self._valkey = EmbeddedValkey(self._folder, self._sockets / "valkey.sock")
            broker_url = self._valkey.broker_url
        inner = free_ports(len(SERVED) + len(MEASURED))
        return Addresses(
            database_url=database_url,
            database_owner_url=owner_url,
            broker_url=broker_url,
            object_store_url=self._environment.get("OBJECT_STORE_URL")
            or self._folder.objects.as_uri(),
            folder=self._folder,
            host=host,
            ports={**dict(zip(SERVED, inner, strict=False)), "gateway": port},
            metrics_ports=dict(zip(MEASURED, inner[len(SERVED) :], strict=True)),
        )

    async def run(self) -> None:
        """Start everything, then wait for a signal, then end everything."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(signum, self._signaled, stop)
        start = asyncio.create_task(self._start())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({start, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if start.done():
                start.result()
                await stopping
        finally:
            start.cancel()
            await asyncio.wait({start})
            self._output.line("neuroscan", "stopping")
            await self._supervisor.stop()
            self._output.line("neuroscan", "stopped")

    def _signaled(self, stop: asyncio.Event) -> None:
        self._signals += 1
        stop.set()
        if self._signals > 1:
            self._supervisor.quit()

    async def _start(self) -> None:
        self._output.line("neuroscan", f"starting on {self._folder.root}")
        if self._valkey:
            self._supervisor.keep(self._valkey.program())
        for service in EARLY:
            self._keep(service)
        if self._postgres:
            await self._postgres.start(self._supervisor)
        await self._prepare()
        for service in LATE:
            self._keep(service)
        await self._until_ready()
        self._ready = True
        self._note()
        took_s = time.monotonic() - self._began
        self._output.line("neuroscan", f"every service answers after {took_s:.1f} s")
        self._output.line("neuroscan", f"NeuroScan is ready on {self._url} (API page: /docs)")
        self._output.line("neuroscan", f"key for programs: in {self._folder.local_key}")
        if link := await self._link():
            self._output.line("neuroscan", f"to sign in, once, within ten minutes: {link}")
        self._output.line("neuroscan", NOTICE)

    def _keep(self, service: str) -> None:
        self._supervisor.keep(
            service_program(service, self._addresses, self._folder, self._environment)
        )

    async def _prepare(self) -> None:
        program = service_program("prepare", self._addresses, self._folder, self._environment)
        if await self._supervisor.run_once(program) != 0:
            raise ServerFailed(
                "The database can't be brought up to date; the lines of `prepare` above say why."
            )

    async def _until_ready(self) -> None:
        complain_at = time.monotonic() + _COMPLAIN_AFTER_S
        async with httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=10) as client:
            while True:
                missing = "gateway"
                with contextlib.suppress(httpx.TransportError):
                    readiness = parse_readiness(await client.get("/health/ready"))
                    if readiness and is_complete(readiness):
                        return
                    missing = readiness.missing() if readiness else missing
                if time.monotonic() > complain_at:
                    self._output.line("neuroscan", f"still waiting for {missing}")
                    complain_at = time.monotonic() + _COMPLAIN_AFTER_S
                await asyncio.sleep(_LOOK_EVERY_S)

    async def _link(self) -> str | None:
        """A link that signs a browser in; None when the gateway went away again meanwhile."""

        def ask() -> str:
            with Client(self._url, local_key(self._folder), patience_s=5) as client:
                return client.link()

        try:
            return await asyncio.to_thread(ask)
        except ClientError:
            return None

    def _note(self) -> None:
        """Keep `run/stack.json` true."""
        embedded_store = not self._environment.get("OBJECT_STORE_URL")
        write_state(
            self._folder.state,
            StackState(
                url=self._url,
                launcher_pid=os.getpid(),
                started_at=self._started_at,
                ready=self._ready,
                socket_folder=self._sockets,
                database_url=self._postgres.owner_url if self._postgres else None,
                broker_url=self._valkey.broker_url if self._valkey else None,
                object_store_url=self._addresses.object_store_url if embedded_store else None,
                services={
                    name: ServiceState(
                        pid=pid,
                        url=program.url,
                        metrics_url=program.metrics_url,
                        restarts=restarts,
                    )
                    for name, (program, pid, restarts) in self._supervisor.programs().items()
                },
            ),
        )
