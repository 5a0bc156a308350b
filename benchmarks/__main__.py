"""`make bench`: every part one after the other, then all targets in one list.

Each part is a process of its own, so that none inherits another's threads and memory. Parts that
start the product do it in the product's own environment: the peers bring a faster HTTP parser than
we ship.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.facts import OUT, Verdict, own_python

PARTS = (
    "engines", "gpu", "serving", "explaining", "pipeline", "activations", "footprint", "growth",
)  # fmt: skip
BESIDE_PEERS = ("serving", "explaining")


def main() -> int:
    """Run the parts; 1 when one failed. A missed target is a finding, not a failure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--data", type=Path, help="test slices for the engines' agreement")
    arguments = parser.parse_args()
    failed = []
    for part in PARTS:
        print(f"\n== {part}", flush=True)
        began = time.perf_counter()
        on_slices = arguments.data is not None and part in ("engines", "gpu")
        extra = ["--data", str(arguments.data)] if on_slices else []
        python = sys.executable if part in BESIDE_PEERS else own_python()
        command = [python, "-m", f"benchmarks.{part}", *extra]
        if subprocess.run(command, check=False).returncode:  # noqa: S603 - our own words
            failed.append(part)
        print(f"{part} took {time.perf_counter() - began:.0f} s", flush=True)
    print("\n== targets")
    verdicts = [verdict for part in PARTS if part not in failed for verdict in _verdicts(part)]
    print(*(verdict.line() for verdict in verdicts), sep="\n")
    met = sum(verdict.met for verdict in verdicts)
    words = f"; failed: {', '.join(failed)}" if failed else ""
    print(f"{met} of {len(verdicts)} targets met{words}")
    return 1 if failed else 0


def _verdicts(part: str) -> list[Verdict]:
    content = json.loads((OUT / f"{part}.json").read_text(encoding="utf-8"))
    return [
        Verdict(found["what"], found["value"], found["target"], found["floor"])
        for found in content["verdicts"]
    ]


if __name__ == "__main__":
    sys.exit(main())
