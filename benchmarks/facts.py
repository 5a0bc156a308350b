"""What the parts of `make bench` share: interleaved timing, tables, the machine, JSON."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

OUT = Path("build") / "bench"
_PACKAGES = (
    "neuroscan", "torch", "onnxruntime", "numpy", "fastapi", "uvicorn", "celery", "weasyprint",
    "litserve", "bentoml", "grad-cam", "torchcam",
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """One line of the summing-up: a figure beside its target.

    `floor` says that the figure must be at least the target, else at most.
    """

    what: str
    value: float
    target: float
    floor: bool

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.value >= self.target if self.floor else self.value <= self.target

    def line(self) -> str:
        """As it is printed."""
        sign = "≥" if self.floor else "≤"
        word = "met" if self.met else "MISSED"
        return f"{self.what}: {self.value:.2f}× (target {sign} {self.target:.2f}×) {word}"


def own_python() -> str:
    """The interpreter of the product's own environment, else the running one."""
    own = Path(__file__).resolve().parents[1] / ".venv" / "bin" / "python"
    return str(own) if own.exists() else sys.executable


def interleaved(
    works: Mapping[str, Callable[[], object]],
    rounds: int,
    calls: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """The median time of a call in ms, of each of `works`; each is called in each round.

    One round more comes first and does not count. `clock` gives seconds; `time.process_time`
    leaves out what other programs took meanwhile, for work that has one thread.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            began = clock()
            for _ in range(calls):
                work()
            if turn:
                taken[name].append((clock() - began) * 1000 / calls)
    return {name: statistics.median(times) for name, times in taken.items()}


def machine() -> dict[str, object]:
    """When, on what and with which versions."""
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "processor": processor(),
        "device": "cpu",
        "python": platform.python_version(),
        "versions": versions,
    }


def processor() -> str:
    """The processor's name and its widest vector instructions, as far as Linux tells."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in fields.items()}
    flags = facts.get("flags", "").split()
    widest = next((name for name in ("avx512f", "avx2", "avx") if name in flags), "no AVX")
    return f"{facts.get('model name', platform.machine())}, {widest}"


def write(
    part: str,
    rows: Mapping[str, Sequence["DataclassInstance"]],
    verdicts: Sequence[Verdict],
    settings: Mapping[str, object],
    out: Path = OUT,
) -> Path:
    """Write a part's tables, verdicts, settings and the machine to `out/PART.json`."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{part}.json"
    content = {
        "part": part,
        **machine(),
        "settings": dict(settings),
        "tables": {name: [asdict(row) for row in table] for name, table in rows.items()},
        "verdicts": [{**asdict(verdict), "met": verdict.met} for verdict in verdicts],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def table(rows: Sequence["DataclassInstance"]) -> list[str]:
    """The rows as a Markdown table, its headings from the fields' names."""
    if not rows:
        return []
    records = [asdict(row) for row in rows]
    names = list(records[0])
    cells = [[_cell(record[name]) for name in names] for record in records]
    heads = [name.replace("_", " ") for name in names]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    right = [isinstance(records[0][name], int | float) for name in names]

    def line(words: Sequence[str]) -> str:
        padded = [
            word.rjust(width) if aligned else word.ljust(width)
            for word, width, aligned in zip(words, widths, right, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * (width - 1) + (":" if aligned else "-")
        for width, aligned in zip(widths, right, strict=True)
    ]
    return [line(heads), f"| {' | '.join(rule)} |", *map(line, cells)]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2e}" if 0 < abs(value) < 0.005 else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
