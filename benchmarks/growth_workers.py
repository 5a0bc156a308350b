"""Cost against workers: how many scans a second explain and spatial do with 1 to 4 processes."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.pipeline import UNLIMITED, completed
from benchmarks.slice_set import pictures
from neuroscan.client import Client
from neuroscan.contracts.enums import StageName
from neuroscan.contracts.scan import ScanView
from neuroscan.stack import Stack

WORKERS = (1, 2, 3, 4)
_SENDERS = 8
_LIMIT_S = 300.0


@dataclass(frozen=True)
class WorkerRate:
    """Scans sent at once to a stack whose explain and spatial pools have `workers` processes each.

    The rates count a stage's scans from its first start to its last end; everything else of the
    stack works on the same cores meanwhile.
    """

    workers: int
    scans: int
    explain_per_second: float
    spatial_per_second: float
    completed_per_second: float


def measure_workers(workers: Sequence[int], scans: int) -> Iterator[WorkerRate]:
    """One row a number of workers, each a stack of its own."""
    contents = pictures()
    for count in workers:
        with Stack(environment={**UNLIMITED, "WORKER_CONCURRENCY": str(count)}) as stack:
            url = stack.wait_ready()
            with Client(url, stack.key, patience_s=_LIMIT_S) as client:
                # Every child loads its model before the clock runs.
                _together(client, contents, 4 * count)
                began = time.perf_counter()
                done = _together(client, contents, scans)
                lasted_s = time.perf_counter() - began
        yield WorkerRate(
            workers=count,
            scans=scans,
            explain_per_second=_rate(done, StageName.EXPLAIN),
            spatial_per_second=_rate(done, StageName.MEASURE),
            completed_per_second=scans / lasted_s,
        )


def _together(client: Client, contents: list[bytes], count: int) -> list[ScanView]:
    with ThreadPoolExecutor(_SENDERS) as senders:
        sent = list(
            senders.map(lambda place: client.submit(contents[place % len(contents)]), range(count))
        )
    return [completed(client.wait(scan.id, _LIMIT_S)) for scan in sent]


def _rate(scans: Sequence[ScanView], name: StageName) -> float:
    stages = [stage for scan in scans for stage in scan.stages if stage.name is name]
    began = min(stage.started_at for stage in stages if stage.started_at)
    ended = max(stage.finished_at for stage in stages if stage.finished_at)
    return len(stages) / (ended - began).total_seconds()
