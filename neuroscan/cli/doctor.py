"""`neuroscan doctor`: what is installed, what is missing, and how fast the stack is here."""

from pathlib import Path
from typing import Annotated

import typer

from neuroscan.cli.options import DEFAULT_DATA_DIR


def doctor(
    *,
    measure: Annotated[
        bool, typer.Option("--measure", help="Start-up time, memory and the time of a scan.")
    ] = False,
    data_dir: Annotated[
        Path, typer.Option(help="Where a running stack is looked for.")
    ] = DEFAULT_DATA_DIR,
) -> None:
    """Say what is installed, which device is used and what is missing.

    Exit code 1 if anything that the stack needs is missing. `--measure` uses the running stack,
    or starts one in a temporary folder.
    """
    from rich.console import Console

    from neuroscan.cli.checks import all_checks, check_table

    console = Console()
    checks = all_checks(data_dir)
    console.print(check_table(checks))
    if measure:
        from neuroscan.cli.measure import run_measure

        run_measure(console, data_dir)
    raise typer.Exit(0 if all(check.ok or not check.needed for check in checks) else 1)
