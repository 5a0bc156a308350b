"""`python -m benchmarks.footprint`: how long the stack takes to be ready, and its memory.

Memory is the proportional set size of each service with its children, before and after scans.
"""

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.facts import table, write
from benchmarks.slice_set import pictures
from neuroscan.client import Client
from neuroscan.stack import Stack

_PROC = Path("/proc")


@dataclass(frozen=True)
class Start:
    """A start from nothing (a new folder and database) to ready, over so many starts."""

    starts: int
    median_s: float
    slowest_s: float


@dataclass(frozen=True)
class Memory:
    """A service with its children, MiB."""

    service: str
    ready_mib: float
    after_scans_mib: float


def main(words: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__)
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--scans", type=int, default=20)
    arguments = parser.parse_args(words)
    contents = pictures()
    taken = []
    memory: list[Memory] = []
    for turn in range(arguments.starts):
        began = time.perf_counter()
        with Stack() as stack:
            url = stack.wait_ready()
            taken.append(time.perf_counter() - began)
            if turn:
                continue
            before = memory_of(stack)
            with Client(url, stack.key) as client:
                for place in range(arguments.scans):
                    client.wait(client.submit(contents[place % len(contents)]).id)
            after = memory_of(stack)
            memory = [Memory(name, before[name], after[name]) for name in before]
    total = Memory(
        "all", sum(row.ready_mib for row in memory), sum(row.after_scans_mib for row in memory)
    )
    starts = [Start(len(taken), statistics.median(taken), max(taken))]
    print("\n".join([*table(starts), "", *table([*memory, total])]))
    write("footprint", {"start": starts, "memory": [*memory, total]}, [], vars(arguments))
    return 0


def memory_of(stack: Stack) -> dict[str, float]:
    """The proportional set size of each service with its children, MiB."""
    parents = parents_of()
    return {
        name: sum(pss_mib(pid) for pid in (state.pid, *below(state.pid, parents)))
        for name, state in stack.state.services.items()
        if state.pid is not None
    }


def parents_of() -> dict[int, int]:
    """The parent of every process."""
    found = {}
    for folder in _PROC.iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            found[int(folder.name)] = int(fields[1])
    return found


def below(pid: int, parents: dict[int, int]) -> list[int]:
    """A process's children, and theirs."""
    children = [child for child, parent in parents.items() if parent == pid]
    return children + [deeper for child in children for deeper in below(child, parents)]


def pss_mib(pid: int) -> float:
    """A process's proportional set size; 0 when it is gone."""
    try:
        text = (_PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0.0
    line = next(line for line in text.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    raise SystemExit(main())
