"""Small facts about the running process."""

import ctypes
import math
import os
import signal
import socket
from functools import cache
from importlib.metadata import version
from pathlib import Path

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


def available_cores(limit: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """How many cores this process may use: those it may run on, within its container's limit.

    `limit` is the container's share as control groups (version 2) write it: quota and period.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = limit.read_text(encoding="ascii").split()
        allowed = math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        # No such file, or `max`: no limit.
        return cores
    return max(1, min(cores, allowed))


def give_memory_back() -> None:
    """Hand freed memory back to the system at once, where the C library can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
