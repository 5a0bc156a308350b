"""`python -m benchmarks.growth`: cost against size, as curves.

Image size from 128 pixels to the 32 megapixels that are accepted at most, batches of 1 to 64,
1,000 to 1,000,000 stored scans, 1 to 4 workers. Each gives a table, and each curve the power of the
size that its end grows with.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks import growth_size, growth_stored, growth_workers
from benchmarks.curves import Curve, curve_of
from benchmarks.engines import Speed, speeds_of
from benchmarks.facts import Verdict, table, write
from benchmarks.growth_size import SizeCost
from benchmarks.growth_stored import StoredCost
from neuroscan.network.bundle import Bundle
from neuroscan.settings import SHIPPED_BUNDLE

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

BATCHES = (1, 2, 4, 8, 16, 32, 64)
KINDS = ("size", "batch", "workers", "stored")

Tables = Mapping[str, Sequence["DataclassInstance"]]


def main(words: list[str] | None = None) -> int:
    """Measure, print, write `growth.json`, or `growth-KIND.json` for some kinds only."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--only", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=3, help="of each size and batch")
    parser.add_argument("--scans", type=int, default=40, help="sent at once to the workers")
    parser.add_argument("--stored", type=int, nargs="+", default=list(growth_stored.STORED))
    arguments = parser.parse_args(words)
    tables: dict[str, Sequence[DataclassInstance]] = {}
    verdicts: list[Verdict] = []
    measures = {
        "size": lambda: _size(arguments.rounds),
        "batch": lambda: _batch(arguments.rounds),
        "workers": lambda: _workers(arguments.scans),
        "stored": lambda: _stored(arguments.stored),
    }
    for kind in arguments.only:
        found, judged = measures[kind]()
        for name, rows in found.items():
            print("", *table(rows), sep="\n", flush=True)
            tables[name] = rows
        print(*(verdict.line() for verdict in judged), sep="\n", flush=True)
        verdicts += judged
    part = "growth" if set(arguments.only) == set(KINDS) else f"growth-{'-'.join(arguments.only)}"
    write(part, tables, verdicts, vars(arguments))
    return 0


def _size(rounds: int) -> tuple[Tables, list[Verdict]]:
    rows = list(growth_size.measure_sizes(growth_size.SIDES, rounds))
    curves = [_size_curve(part, rows) for part in growth_size.PARTS]
    return {"size": rows, "size curves": curves}, growth_size.verdicts_of(rows)


def _size_curve(part: str, rows: Sequence[SizeCost]) -> Curve:
    points = {row.megapixels: float(getattr(row, part)) for row in rows}
    return curve_of(part.removesuffix("_ms"), "megapixels", points)


def _batch(rounds: int) -> tuple[Tables, list[Verdict]]:
    bundle = Bundle.read(SHIPPED_BUNDLE)
    threads = 2
    rows: list[Speed] = list(speeds_of(bundle, threads, rounds, BATCHES))
    costs: dict[str, dict[float, float]] = {
        "torch": {row.batch: row.torch_ms * row.batch for row in rows},
        "onnxruntime": {row.batch: row.onnxruntime_ms * row.batch for row in rows},
    }
    curves = [curve_of(f"{name}: a batch", "slices", points) for name, points in costs.items()]
    return {"batch": rows, "batch curves": curves}, []


def _workers(scans: int) -> tuple[Tables, list[Verdict]]:
    return {"workers": list(growth_workers.measure_workers(growth_workers.WORKERS, scans))}, []


def _stored(stored: Sequence[int]) -> tuple[Tables, list[Verdict]]:
    sizes, rows = [], []
    for size, costs in growth_stored.measure_stored(stored):
        sizes.append(size)
        rows += costs
        print(f"{size.stored:,} stored after {size.fill_s:.0f} s", flush=True)
    curves = [_stored_curve(operation, rows) for operation in growth_stored.OPERATIONS]
    found: Tables = {"database": sizes, "stored": rows, "stored curves": curves}
    return found, growth_stored.verdicts_of(rows)


def _stored_curve(operation: str, rows: Sequence[StoredCost]) -> Curve:
    points = {float(row.stored): row.p50_ms for row in rows if row.operation == operation}
    return curve_of(operation, "scans stored", points)


if __name__ == "__main__":
    raise SystemExit(main())
