"""`python -m benchmarks.pipeline`: POST to completed, one at a time and many at once, by stage.

A whole stack on embedded servers, beside the bare work: the services' own functions called one
after the other in this process. The parts of the bare work are timed alone too.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from benchmarks.bare import Bare
from benchmarks.facts import Verdict, interleaved, table, write
from benchmarks.slice_set import pictures
from neuroscan.client import Client
from neuroscan.contracts.enums import ScanState
from neuroscan.contracts.scan import ScanView
from neuroscan.stack import Stack

UNLIMITED = {"REQUESTS_PER_MINUTE": "1000000000", "BACKLOG_MAX": "P1D"}
_SENDERS = 8
_LIMIT_S = 600.0


@dataclass(frozen=True)
class Part:
    """A part of the bare work, alone."""

    part: str
    ms: float


@dataclass(frozen=True)
class Stage:
    """A stage in the pipeline: from its start to its recorded end, and its wait before that."""

    load: str
    stage: str
    median_ms: float
    p95_ms: float
    waited_ms: float


@dataclass(frozen=True)
class Whole:
    """Scans through the pipeline, and what the bare work would have taken for as many."""

    load: str
    scans: int
    per_second: float
    p50_ms: float
    p95_ms: float
    bare_per_second: float
    over_bare: float


def main(words: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--single", type=int, default=12, help="scans one at a time")
    parser.add_argument("--together", type=int, default=200, help="scans at once")
    parser.add_argument("--rounds", type=int, default=7, help="of the bare work")
    arguments = parser.parse_args(words)
    contents = pictures()
    with Stack(environment=UNLIMITED) as stack:
        url = stack.wait_ready()
        with Client(url, stack.key, patience_s=_LIMIT_S) as client:
            like = client.wait(client.submit(contents[0]).id)
            singles = _one_at_a_time(client, contents, arguments.single)
            seconds, many = _together(client, contents, arguments.together)
    parts = _bare(like, contents, arguments.rounds)
    bare_ms = parts[-1].ms
    stages = [*_stages("one at a time", singles), *_stages("together", many)]
    alone = [_taken_ms(scan) for scan in singles]
    wholes = [
        _whole("one at a time", alone, 1000 / statistics.median(alone), bare_ms),
        _whole("together", [_taken_ms(scan) for scan in many], len(many) / seconds, bare_ms),
    ]
    for rows in (parts, stages, wholes):
        print("", *table(rows), sep="\n")
    what = f"{len(many)} scans at once over the bare work in one process, throughput"
    verdict = Verdict(what, wholes[1].over_bare, 0.8, floor=True)
    print(verdict.line())
    tables: dict[str, Sequence[Part | Stage | Whole]] = {
        "parts": parts,
        "stages": stages,
        "whole": wholes,
    }
    write("pipeline", tables, [verdict], vars(arguments))
    return 0


def _one_at_a_time(client: Client, contents: list[bytes], count: int) -> list[ScanView]:
    # The first has warmed up what the stack loads late.
    return [
        completed(client.wait(client.submit(contents[place % len(contents)]).id))
        for place in range(count)
    ]


def _together(client: Client, contents: list[bytes], count: int) -> tuple[float, list[ScanView]]:
    began = time.perf_counter()
    with ThreadPoolExecutor(_SENDERS) as senders:
        sent = list(
            senders.map(lambda place: client.submit(contents[place % len(contents)]), range(count))
        )
    scans = [completed(client.wait(scan.id, _LIMIT_S)) for scan in sent]
    return time.perf_counter() - began, scans


def completed(scan: ScanView) -> ScanView:
    """The scan itself; raises `RuntimeError` when it ended otherwise."""
    if scan.state is not ScanState.COMPLETED:
        raise RuntimeError(f"a scan ended as {scan.state}")
    return scan


def _bare(like: ScanView, contents: list[bytes], rounds: int) -> list[Part]:
    bare = Bare(like)
    content = contents[1]
    decoded = bare.decode(content)
    found = bare.classify(decoded)
    explained = bare.explain(decoded, found.classification.label)
    taken = interleaved(
        {
            "decode": partial(bare.decode, content),
            "classify": partial(bare.classify, decoded),
            "explain": partial(bare.explain, decoded, found.classification.label),
            "spatial": partial(bare.measure, decoded, found, explained),
            "PDF": partial(bare.report, decoded, explained),
            "all": partial(_all, bare, contents),
        },
        rounds,
    )
    taken["all"] /= len(contents)
    return [Part(name, ms) for name, ms in taken.items()]


def _all(bare: Bare, contents: list[bytes]) -> None:
    for content in contents:
        bare(content)


def _taken_ms(scan: ScanView) -> float:
    return (scan.updated_at - scan.created_at).total_seconds() * 1000


def _stages(load: str, scans: Sequence[ScanView]) -> list[Stage]:
    rows = []
    for place, first in enumerate(scans[0].stages):
        lasted, waited = [], []
        for scan in scans:
            stage = scan.stages[place]
            before = scan.stages[place - 1].finished_at if place else scan.created_at
            assert stage.started_at is not None
            assert stage.finished_at is not None
            assert before is not None
            lasted.append((stage.finished_at - stage.started_at).total_seconds() * 1000)
            waited.append((stage.started_at - before).total_seconds() * 1000)
        rows.append(
            Stage(
                load=load,
                stage=first.name.value,
                median_ms=statistics.median(lasted),
                p95_ms=_p95(lasted),
                waited_ms=statistics.median(waited),
            )
        )
    return rows


def _whole(load: str, taken_ms: list[float], per_second: float, bare_ms: float) -> Whole:
    return Whole(
        load=load,
        scans=len(taken_ms),
        per_second=per_second,
        p50_ms=statistics.median(taken_ms),
        p95_ms=_p95(taken_ms),
        bare_per_second=1000 / bare_ms,
        over_bare=per_second * bare_ms / 1000,
    )


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


if __name__ == "__main__":
    raise SystemExit(main())
