"""How many cores a process may use."""

from pathlib import Path

import pytest

from neuroscan.process import available_cores


@pytest.mark.parametrize(
    ("text", "most"), [("50000 100000", 1), ("100000 100000", 1), ("150000 100000", 2)]
)
def test_a_containers_limit_bounds_the_cores(tmp_path: Path, text: str, most: int) -> None:
    limit = tmp_path / "cpu.max"
    limit.write_text(text + "\n")
    assert available_cores(limit) == min(most, available_cores(tmp_path / "none"))


@pytest.mark.parametrize("text", ["max 100000", "", "100000 0x"])
def test_without_a_limit_all_cores_are_there(tmp_path: Path, text: str) -> None:
    limit = tmp_path / "cpu.max"
    limit.write_text(text)
    assert available_cores(limit) == available_cores(tmp_path / "none") >= 1
