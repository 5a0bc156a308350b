"""`neuroscan keys …` and `neuroscan link`: who may call a running server."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from neuroscan.contracts.enums import Role

UrlOption = Annotated[str | None, typer.Option(help="A server; else the local stack.")]
KeyOption = Annotated[
    str | None, typer.Option(envvar="NEUROSCAN_KEY", help="The server's API key.")
]
DataDirOption = Annotated[Path | None, typer.Option(help="The local stack's folder.")]

keys = typer.Typer(help="API keys: list, create, revoke.", no_args_is_help=True)


@keys.command("list")
def list_keys(url: UrlOption = None, key: KeyOption = None, data_dir: DataDirOption = None) -> None:
    """Show every key, without its secret."""
    from neuroscan.cli.access_run import print_keys

    print_keys(url, key, data_dir)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for, never a person's name.")],
    role: Annotated[Role, typer.Option(help="What the caller may do.")] = Role.SUBMITTER,
    expires: Annotated[
        datetime | None, typer.Option(help="When it ends (UTC); never, if left out.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a key and print it, this once."""
    from neuroscan.cli.access_run import print_new_key

    print_new_key(name, role, expires, (url, key, data_dir))


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID")],
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """End a key and its sessions at once."""
    from neuroscan.cli.access_run import revoke

    revoke(key_id, url, key, data_dir)


def link(url: UrlOption = None, key: KeyOption = None, data_dir: DataDirOption = None) -> None:
    """Print a link that signs a browser in, once, within ten minutes."""
    from neuroscan.cli.access_run import print_link

    print_link(url, key, data_dir)
