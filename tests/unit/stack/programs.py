"""Small programs for the supervisor to keep."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from neuroscan.stack.supervisor import Program


def python_program(name: str, code: str, **options: object) -> Program:
    """A program that runs a few lines of Python."""
    argv = (sys.executable, "-S", "-c", code)
    return Program(name=name, argv=argv, environment=dict(os.environ), **options)  # type: ignore[arg-type]


async def until(condition: Callable[[], object], limit_s: float = 15.0) -> None:
    """Wait until a condition holds; fails when it doesn't in time."""
    give_up_at = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up_at, "the condition never held"
        await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    """True for a process that still runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
