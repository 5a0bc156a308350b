"""What `neuroscan keys` and `neuroscan link` do, on a server that runs already."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table

from neuroscan.cli.options import DEFAULT_DATA_DIR
from neuroscan.cli.tables import NOTHING, result_console
from neuroscan.client import Client
from neuroscan.contracts.access import KeyCreate
from neuroscan.contracts.enums import Role
from neuroscan.stack import DataFolder, StackError, find_running, local_key

Server = tuple[str | None, str | None, Path | None]


def print_keys(url: str | None, key: str | None, data_dir: Path | None) -> None:
    """A table of all keys."""
    with _running(url, key, data_dir) as client:
        items = client.keys().items
    table = Table()
    for heading in ("id", "name", "role", "created", "last used", "ends"):
        table.add_column(heading)
    for item in items:
        ends = f"revoked {_day(item.revoked_at)}" if item.revoked_at else _day(item.expires_at)
        created, used = _day(item.created_at), _day(item.last_used_at)
        table.add_row(item.id, item.name, item.role, created, used, ends)
    result_console().print(table)


def print_new_key(name: str, role: Role, expires: datetime | None, server: Server) -> None:
    """The new key alone on standard output, so that a script can take it."""
    expires_at = expires.replace(tzinfo=UTC) if expires else None
    with _running(*server) as client:
        made = client.create_key(KeyCreate(name=name, role=role, expires_at=expires_at))
    print(made.key)


def revoke(key_id: str, url: str | None, key: str | None, data_dir: Path | None) -> None:
    """End a key."""
    with _running(url, key, data_dir) as client:
        client.revoke_key(key_id)


def print_link(url: str | None, key: str | None, data_dir: Path | None) -> None:
    """A link alone on standard output."""
    with _running(url, key, data_dir) as client:
        print(client.link())


@contextmanager
def _running(url: str | None, key: str | None, data_dir: Path | None) -> Iterator[Client]:
    if url is None:
        folder = data_dir or DEFAULT_DATA_DIR
        running = find_running(folder)
        if running is None:
            raise StackError(
                f"No stack runs on {folder}; start one with `neuroscan up`, or name a server "
                "with --url and --key."
            )
        url, key = running.url, key or local_key(DataFolder.at(folder))
    with Client(url, key) as client:
        yield client


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else NOTHING
