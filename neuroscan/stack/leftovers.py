"""Processes that a killed launcher left behind."""

import os
import signal
import time
from pathlib import Path

from neuroscan.stack.errors import FolderUnusable
from neuroscan.stack.folder import DataFolder

MARK = "NEUROSCAN_STACK"
_GRACE_S = 12.0


def find_leftovers(folder: DataFolder) -> list[int]:
    """Ids of the processes that carry the folder's mark in their environment.

    The mark, not a noted id, says that a process is ours: the kernel gives ids out again.
    """
    mark = f"{MARK}={folder.root}".encode()
    mine = _self_and_ancestors()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in mine:
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            # Ended in between, or another user's.
            continue
        if mark in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


def end_leftovers(folder: DataFolder) -> int:
    """End them, by force if need be; returns how many there were.

    Call it with the folder's lock held. Most are on their way out already: each child asks the
    kernel for a signal when its launcher dies.
    """
    first = find_leftovers(folder)
    _signal(first, signal.SIGTERM)
    give_up_at = time.monotonic() + _GRACE_S
    while (left := find_leftovers(folder)) and time.monotonic() < give_up_at:
        time.sleep(0.1)
    _signal(left, signal.SIGKILL)
    give_up_at = time.monotonic() + 5
    while left := find_leftovers(folder):
        if time.monotonic() > give_up_at:
            raise FolderUnusable(
                f"Processes of an earlier stack don't end: {', '.join(map(str, left))}."
            )
        time.sleep(0.05)
    return len(first)


def _signal(pids: list[int], signum: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue


def _self_and_ancestors() -> set[int]:
    pids = set()
    pid = os.getpid()
    while pid > 0:
        pids.add(pid)
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            break
        # The name, in brackets, may hold anything; the parent's id is the second field after it.
        pid = int(stat.rpartition(")")[2].split()[1])
    return pids
