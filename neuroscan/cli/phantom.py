"""`neuroscan phantom --out DIR`: test slices whose truth is known."""

from pathlib import Path
from typing import Annotated

import typer

from neuroscan import NOTICE


def phantom(
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for the slices and their JSON files.")
    ],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
) -> None:
    """Write test slices with a known lesion, side, size and midline shift."""
    from neuroscan.phantoms import write_phantoms

    for file in write_phantoms(out, seed=seed):
        typer.echo(file.path)
    typer.echo(NOTICE, err=True)
