"""The servers that are compared, and how each is started."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.facts import OUT, own_python
from benchmarks.serving_clients import Body, in_form, in_json, load, raw
from benchmarks.slice_set import pictures
from neuroscan.settings import REPOSITORY
from neuroscan.stack.ports import free_ports

OURS = "neuroscan"
_START_S = 120
# Their own reports home are no part of what is measured.
_NO_REPORTS = {"BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1", "LIT_SERVE_ANALYTICS": "0"}


@dataclass(frozen=True)
class Server:
    """A server: its command, where it takes a slice and how that is packed, its own settings."""

    name: str
    command: tuple[str, ...]
    path: str
    pack: Callable[[bytes], Body]
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    server: Server
    port: int
    process: "subprocess.Popen[bytes]"


def _servers(*, shipped: bool) -> tuple[Server, ...]:
    peers = (
        ("litserve", ("-m", "benchmarks.peers.lit"), in_json),
        ("bentoml", ("-m", "bentoml", "serve", "benchmarks.peers.bento:Classifier"), in_form),
        ("plain", ("-m", "benchmarks.peers.plain"), in_form),
    )
    engine = "torch" if shipped else "onnxruntime"
    # The servers' own batching, as large as ours: on the CPU larger ones gain nothing.
    batch = "1" if shipped else "4"
    return (
        Server(OURS, ("-m", "services.inference"), "/v1/classify", raw),
        *(
            Server(
                name,
                command,
                "/predict",
                pack,
                (("INFERENCE_ENGINE", engine), ("PEER_BATCH", batch)),
            )
            for name, command, pack in peers
        ),
    )


LIKE_FOR_LIKE = _servers(shipped=False)
AS_SHIPPED = _servers(shipped=True)


@contextmanager
def started(server: Server, threads: int | None) -> Iterator[Running]:
    """The server, warm; `threads` None leaves its own default. Its log lies in `build/bench`."""
    port = free_ports(1)[0]
    environment = {**os.environ, **_NO_REPORTS, "DEVICE": "cpu", "PORT": str(port)}
    for name in ("TORCH_THREADS", "OMP_NUM_THREADS", "INFERENCE_ENGINE"):
        environment.pop(name, None)
    if threads is not None:
        environment |= {"TORCH_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    elif server.name != OURS:
        # What torch takes when nobody says anything.
        environment["TORCH_THREADS"] = str(os.cpu_count() or 1)
    environment |= dict(server.environment)
    # BentoML's command line has its own way to be told a port.
    told = ("--port", str(port), "--host", "127.0.0.1") if server.name == "bentoml" else ()
    OUT.mkdir(parents=True, exist_ok=True)
    with (OUT / f"{server.name}.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own words
            [_python(server), *server.command, *told],
            cwd=REPOSITORY,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            running = Running(server, port, process)
            _wait(running)
            yield running
        finally:
            _end(process)


@contextmanager
def alone(running: Sequence[Running], one: Running | None) -> Iterator[None]:
    """Only `one` of the servers runs meanwhile: some poll while they idle, at the others' cost."""
    others = [other for other in running if other is not one]
    for other in others:
        os.killpg(other.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for other in others:
            os.killpg(other.process.pid, signal.SIGCONT)


def _python(server: Server) -> str:
    """The product's own environment for ours: the peers bring a faster HTTP parser than we ship."""
    return own_python() if server.name == OURS else sys.executable


def _wait(running: Running) -> None:
    body = [running.server.pack(pictures()[0])]
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            break
        try:
            load(running.port, running.server.path, body, 1, 0.01)
        except (OSError, http.client.HTTPException, RuntimeError):
            time.sleep(0.2)
        else:
            return
    log = (OUT / f"{running.server.name}.log").read_text(encoding="utf-8", errors="replace")
    raise RuntimeError(f"{running.server.name} does not answer:\n{log[-2000:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    # The whole group: the peers' workers are processes of their own.
    for sent in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sent)
        except ProcessLookupError:
            break
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            continue
