"""Small facts about the running process."""

import ctypes
import os
import signal
import socket
from functools import cache
from importlib.metadata import version

_PR_SET_PDEATHSIG = 1


@cache
def code_version() -> str:
    """The installed version of NeuroScan."""
    return version("neuroscan")


def process_name() -> str:
    """Names this process among all of the system's."""
    return f"{socket.gethostname()}-{os.getpid()}"


def end_with_parent(signum: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to signal this process when its parent dies (Linux only)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signum))
