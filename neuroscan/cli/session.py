"""A server for the length of a command: the one that is named, that runs, or a fresh one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from neuroscan.cli.options import DEFAULT_DATA_DIR
from neuroscan.client import Client
from neuroscan.stack import DataFolder, Stack, find_running, local_key


@contextmanager
def session(
    console: Console, *, url: str | None, key: str | None, data_dir: Path | None
) -> Iterator[Client]:
    """A client of `url`; else of the stack on `data_dir`; else of one started for the call.

    Without `data_dir` a running stack is looked for in the default folder, and one that has to
    be started gets a temporary folder: nothing of the call is left behind.
    """
    if url is None:
        folder = data_dir or DEFAULT_DATA_DIR
        running = find_running(folder)
        url = running.url if running else None
        key = local_key(DataFolder.at(folder)) if running and key is None else key
    if url is not None:
        with Client(url, key) as client:
            yield client
        return
    with Stack(data_dir) as stack:
        with console.status("Starting the services …"):
            ready_url = stack.wait_ready()
        with Client(ready_url, stack.key) as client:
            yield client
