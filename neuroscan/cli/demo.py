"""`neuroscan demo`: the main job on slices that the project makes itself, checked to the end."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for heat maps, overlays and reports.")
    ] = Path("demo-output"),
) -> None:
    """Make test slices, run the whole stack on them, and show what was expected and found."""
    from neuroscan.cli.demo_run import run_demo

    raise typer.Exit(0 if run_demo(out) else 1)
