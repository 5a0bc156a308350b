"""What the parts of `make bench` share."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.facts import Verdict, interleaved, table, write


@dataclass(frozen=True)
class Row:
    server: str
    requests: int
    p50_ms: float


def test_works_take_turns_and_the_first_round_does_not_count() -> None:
    called: list[str] = []

    def slow_at_first() -> None:
        called.append("a")
        time.sleep(0.2 if len(called) == 1 else 0.001)

    found = interleaved({"a": slow_at_first, "b": lambda: called.append("b")}, rounds=3)
    assert called == ["a", "b"] * 4
    assert 1 <= found["a"] < 100
    assert found["b"] < found["a"]


@pytest.mark.parametrize(
    ("value", "target", "floor", "met"),
    [(0.92, 0.92, True, True), (0.91, 0.92, True, False), (1.2, 1.1, False, False)],
)
def test_a_target_is_met_from_its_own_side(
    value: float, target: float, floor: bool, met: bool
) -> None:
    verdict = Verdict("x", value, target, floor)
    assert verdict.met is met
    assert verdict.line().endswith("met" if met else "MISSED")


def test_tables_are_aligned_markdown() -> None:
    lines = table([Row("ours", 1200, 31.25), Row("a longer one", 7, 0.001)])
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split() == ["|", "server", "|", "requests", "|", "p50", "ms", "|"]
    assert "1,200" in lines[2]
    assert "1.00e-03" in lines[3]


def test_a_part_is_written_with_versions_and_verdicts(tmp_path: Path) -> None:
    verdict = Verdict("speed", 2.0, 1.6, floor=True)
    path = write("part", {"rows": [Row("ours", 1, 2.0)]}, [verdict], {"rounds": 3}, tmp_path)
    content = json.loads(path.read_text())
    assert content["tables"]["rows"] == [{"server": "ours", "requests": 1, "p50_ms": 2.0}]
    assert content["verdicts"][0]["met"] is True
    assert content["versions"]["torch"]
    assert content["settings"] == {"rounds": 3}
    assert content["cores"] >= 1
