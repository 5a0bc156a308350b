"""The table of commands, and how their errors are shown.

The commands import what they need when they run, so that `neuroscan --help` is quick.
"""

import sys

import typer

from neuroscan import NOTICE, __version__
from neuroscan.cli.access import keys, link
from neuroscan.cli.analyze import analyze
from neuroscan.cli.demo import demo
from neuroscan.cli.doctor import doctor
from neuroscan.cli.phantom import phantom
from neuroscan.cli.up import up

app = typer.Typer(
    name="neuroscan",
    help=f"NeuroScan {__version__}: brain-MRI slices classified, explained, measured and "
    f"reported. {NOTICE}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (up, analyze, phantom, doctor, demo, link):
    app.command()(command)
app.add_typer(keys, name="keys")


def main() -> None:
    """Run the command that the arguments name; ends the process."""
    try:
        app()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "neuroscan":
            raise
        sys.exit(f"neuroscan: {error.name} is not installed; `neuroscan doctor` says what is.")
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(f"neuroscan: {error.filename}: {error.strerror}.")
    except Exception as error:
        from neuroscan.client import ClientError
        from neuroscan.stack.errors import StackError

        if not isinstance(error, ClientError | StackError):
            raise
        sys.exit(f"neuroscan: {error}")
