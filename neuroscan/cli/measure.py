"""`neuroscan doctor --measure`: start-up time, memory, and the time of one scan."""

import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from neuroscan.cli.memory import pss_bytes
from neuroscan.client import Client
from neuroscan.contracts.enums import DisplayConvention
from neuroscan.phantoms import PhantomFile, write_phantoms
from neuroscan.stack import DataFolder, Stack, StackState, find_running, local_key

REPEATS = 5
_SETTLE_S = 3.0


@dataclass(frozen=True)
class ScanTime:
    """Seconds from sending the POST to its answer, and to the completed scan."""

    answered_s: float
    completed_s: float


def run_measure(console: Console, data_dir: Path) -> None:
    """Measure the stack on `data_dir` if one runs, else a fresh one in a temporary folder."""
    running = find_running(data_dir)
    if running:
        console.print(f"Measuring the stack on {running.url}.")
        _report(console, running, local_key(DataFolder.at(data_dir)))
        return
    began = time.monotonic()
    with Stack() as stack:
        with console.status("Starting a stack in a temporary folder …"):
            stack.wait_ready()
        console.print(f"Ready after {time.monotonic() - began:.1f} s (fresh folder).")
        _report(console, stack.state, stack.key)


def _report(console: Console, state: StackState, key: str) -> None:
    time.sleep(_SETTLE_S)
    before = pss_bytes(state)
    with (
        console.status(f"One slice, {REPEATS + 1} times …"),
        Client(state.url, key) as client,
        tempfile.TemporaryDirectory() as folder,
    ):
        phantom = next(file for file in write_phantoms(Path(folder)) if file.truth.lesion)
        # The first one warms up; it does not count.
        times = [time_scan(client, phantom) for _ in range(REPEATS + 1)][1:]
    console.print(_memory_table(before, pss_bytes(state)))
    for name, values in (
        ("POST to its answer", [taken.answered_s for taken in times]),
        ("POST to completed", [taken.completed_s for taken in times]),
    ):
        console.print(
            f"{name}: median {statistics.median(values):.2f} s of {REPEATS} "
            f"({min(values):.2f} to {max(values):.2f} s)",
            highlight=False,
        )


def time_scan(client: Client, phantom: PhantomFile) -> ScanTime:
    """Send a phantom and wait until its scan is completed."""
    content = phantom.path.read_bytes()
    spacing_mm = phantom.truth.pixel_spacing_mm
    began = time.perf_counter()
    scan = client.submit(
        content,
        pixel_spacing_mm=(spacing_mm, spacing_mm),
        display_convention=DisplayConvention(phantom.truth.display_convention),
    )
    answered_s = time.perf_counter() - began
    client.wait(scan.id)
    return ScanTime(answered_s, time.perf_counter() - began)


def _memory_table(idle: dict[str, int], after: dict[str, int]) -> Table:
    table = Table("service", show_footer=True)
    table.columns[0].footer = "sum"
    for heading, totals in (("idle", idle), ("after the scans", after)):
        table.add_column(f"PSS {heading}", _mb(sum(totals.values())), justify="right")
    for name in sorted(idle, key=lambda name: -idle[name]):
        table.add_row(name, _mb(idle[name]), _mb(after.get(name, 0)))
    return table


def _mb(count: int) -> str:
    return f"{count / 1e6:.0f} MB"
