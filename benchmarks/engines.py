"""`python -m benchmarks.engines`: ONNX Runtime beside torch, its time and its answers.

Times come from interleaved rounds on phantoms. With `--data` both engines also answer every slice
of the patient split's test part; the largest differences must stay within the stated tolerance,
else the command ends with 1.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.answers import answers_of, difference, test_part
from benchmarks.facts import Verdict, interleaved, table, write
from benchmarks.slice_set import tensors
from neuroscan.network.bundle import Bundle
from neuroscan.settings import SHIPPED_BUNDLE
from services.inference.answer import answer
from services.inference.engine import TorchEngine
from services.inference.onnx_engine import OnnxEngine

# The largest difference of a class probability, and of the distance as a share of it.
PROBABILITY, DISTANCE = 1e-4, 1e-4
SIZES = (1, 4, 16)
_BATCH = 16


@dataclass(frozen=True)
class Speed:
    """The time of a slice in a batch, ms, of both engines."""

    threads: int
    batch: int
    torch_ms: float
    onnxruntime_ms: float
    torch_over_onnxruntime: float


@dataclass(frozen=True)
class Agreement:
    """How far apart the answers are over so many slices, at most."""

    slices: int
    probability: float
    distance_share: float
    other_label: int
    other_set: int
    other_acceptance: int


def main(words: list[str] | None = None) -> int:
    """Measure, print, write; 1 when the engines' answers differ by more than the tolerance."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=SHIPPED_BUNDLE)
    parser.add_argument("--data", type=Path, help="folder with manifest.csv")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args(words)
    bundle = Bundle.read(arguments.bundle)
    speeds = [speed for threads in (1, 2) for speed in speeds_of(bundle, threads, arguments.rounds)]
    print("\n".join(table(speeds)))
    tables: dict[str, list[Speed] | list[Agreement]] = {"speed": speeds}
    within = True
    if arguments.data is not None:
        found = _compare(bundle, arguments.data)
        print("\n".join(table([found])))
        within = found.probability <= PROBABILITY and found.distance_share <= DISTANCE
        print(f"within {PROBABILITY:g} and {DISTANCE:g}: {'yes' if within else 'NO'}")
        tables["agreement"] = [found]
    single = next(row for row in speeds if row.threads == 1 and row.batch == 1)
    verdict = Verdict("CPU engine over torch eager", single.torch_over_onnxruntime, 1.6, floor=True)
    print(verdict.line())
    write("engines", tables, [verdict], {"rounds": arguments.rounds, "bundle": bundle.version})
    return 0 if within else 1


def speeds_of(
    bundle: Bundle, threads: int, rounds: int, sizes: Sequence[int] = SIZES
) -> Iterator[Speed]:
    """One row a batch size, the largest of which both engines are warmed up with."""
    eager, faster = TorchEngine(bundle, "cpu", threads), OnnxEngine(bundle, threads)
    eager.warm_up(max(sizes))
    faster.warm_up(max(sizes))
    # Both share this thread here, and the second has left torch one core.
    torch.set_num_threads(threads)
    slices = tensors(bundle)
    for size in sizes:
        batch = [slices[place % len(slices)] for place in range(size)]
        taken = interleaved(
            {
                "torch": lambda batch=batch: eager.predict(batch),  # type: ignore[misc]
                "onnxruntime": lambda batch=batch: faster.predict(batch),  # type: ignore[misc]
            },
            rounds,
            calls=max(1, 8 // size),
        )
        yield Speed(
            threads=threads,
            batch=size,
            torch_ms=taken["torch"] / size,
            onnxruntime_ms=taken["onnxruntime"] / size,
            torch_over_onnxruntime=taken["torch"] / taken["onnxruntime"],
        )


def _compare(bundle: Bundle, data: Path) -> Agreement:
    torch.set_num_threads(2)
    eager, faster = TorchEngine(bundle, "cpu", 2), OnnxEngine(bundle, 2)
    slices = list(test_part(bundle, data))
    right, found = (answers_of(engine, slices, _BATCH) for engine in (eager, faster))
    sets = [
        [answer(bundle.description, one, 0.0).classification.prediction_set for one in answers]
        for answers in (found, right)
    ]
    return Agreement(
        **vars(difference(bundle, found, right)),
        other_set=sum(one != other for one, other in zip(*sets, strict=True)),
    )


if __name__ == "__main__":
    sys.exit(main())
