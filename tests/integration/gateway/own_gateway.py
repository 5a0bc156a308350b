"""A gateway of a test's own, beside the stack's, on the same servers unless told otherwise."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from neuroscan.stack import Stack
from neuroscan.stack.ports import free_ports


class OwnGateway:
    """A running gateway; `ended_within_s` after a SIGTERM."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, key: str) -> None:
        self._process = process
        self.url = url
        self.key = key

    def client(self) -> httpx.Client:
        """A client that may hold many connections."""
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60,
            trust_env=False,
            limits=httpx.Limits(max_connections=200),
        )

    def terminate(self) -> None:
        """The signal that a deployment sends."""
        self._process.send_signal(signal.SIGTERM)

    def ended_within(self, limit_s: float) -> bool:
        """Whether the process ends in time."""
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True


@contextmanager
def own_gateway(stack: Stack, **settings: str) -> Iterator[OwnGateway]:
    """A gateway with settings of its own, ready to answer."""
    (port,) = free_ports(1)
    state = stack.state
    inference, reports = (state.services[name].url for name in ("inference", "reports"))
    environment = {
        **os.environ,
        "DATABASE_URL": state.database_url or "",
        "BROKER_URL": state.broker_url or "",
        "OBJECT_STORE_URL": state.object_store_url or "",
        "INFERENCE_URL": inference or "",
        "REPORTS_URL": reports or "",
        "SERVER_SECRET_FILE": str(stack.folder.server_secret),
        "PORT": str(port),
        "LOG_LEVEL": "WARNING",
        **settings,
    }
    process = subprocess.Popen([sys.executable, "-m", "services.gateway"], env=environment)
    gateway = OwnGateway(process, f"http://127.0.0.1:{port}", stack.key)
    try:
        _wait_live(gateway)
        yield gateway
    finally:
        process.kill()
        process.wait()


def _wait_live(gateway: OwnGateway) -> None:
    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        try:
            if httpx.get(f"{gateway.url}/health/live", trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the gateway does not start")
