"""`run/stack.json`: where the parts of a running stack are, for those who look for it."""

import os
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from neuroscan.contracts.base import Contract


class ServiceState(Contract):
    """One supervised process; `pid` is null while it waits to be started again.

    Prometheus can read it at `metrics_url`.
    """

    pid: int | None
    url: str | None
    metrics_url: str | None = None
    restarts: int


class StackState(Contract):
    """A running stack. The URLs are those of embedded servers; others may hold a password."""

    url: str
    launcher_pid: int
    started_at: datetime
    ready: bool
    socket_folder: Path
    database_url: str | None
    broker_url: str | None
    object_store_url: str | None
    services: dict[str, ServiceState]


def write_state(path: Path, state: StackState) -> None:
    """Write the file whole, readable by its owner only."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(state.model_dump_json(indent=2))
    fresh.replace(path)


def read_state(path: Path) -> StackState | None:
    """The state, or None when there is no file or it is from another version."""
    try:
        return StackState.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
