"""`neuroscan up`: the whole stack on this machine, until Ctrl-C."""

import os
from pathlib import Path
from typing import Annotated

import typer

from neuroscan.cli.options import DEFAULT_DATA_DIR


def up(
    data_dir: Annotated[
        Path, typer.Option(help="Where the database, the broker and the objects are kept.")
    ] = DEFAULT_DATA_DIR,
    host: Annotated[str, typer.Option(help="A loopback address.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The gateway's port; 0 for any free one.")
    ] = 8000,
) -> None:
    """Run PostgreSQL, the broker and all services here; Ctrl-C ends them.

    DATABASE_URL, BROKER_URL and OBJECT_STORE_URL, where set, name servers of your own instead.
    """
    from neuroscan.stack.launcher import LaunchOptions, launch

    launch(LaunchOptions(data_dir=data_dir, host=host, port=port), os.environ)
