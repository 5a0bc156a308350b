"""The command `neuroscan`. Each command's own module is imported when the command runs."""

from neuroscan.cli.app import main

__all__ = ["main"]
