"""`python -m training data`: what it prints of drawn packs and of the committed splits."""

import argparse
import logging
import re
from pathlib import Path

import pytest

from tests.unit.training.packs import write_packs, write_splits
from training import inspect_data, splits


def test_counts_duplicates_and_leaks_are_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rows = write_packs(tmp_path / "data")
    write_splits(rows, tmp_path / "splits")
    monkeypatch.setattr(splits, "FOLDER", tmp_path / "splits")
    with caplog.at_level(logging.INFO):
        inspect_data.main(
            argparse.Namespace(data=tmp_path / "data", no_pixels=False, write_splits=False)
        )
    text = caplog.text
    # Six slices a class for training, three for validation and three for the test.
    assert re.search(r"patient +train +24 files, +8 groups: glioma 6, meningioma 6", text)
    assert re.search(r"patient +test +9 slices with an outlined tumor, 4 patients", text)
    # Every second slice stands there twice, byte for byte, and as a mirror image elsewhere.
    assert f"{len(rows)}, of them 24 repeat another byte for byte" in text
    assert re.search(r"published LEAK +\d+ pictures", text)
    assert re.search(r"look-alikes \d+ pairs, \d+ mirrored", text)


def test_the_committed_splits_contradict_one_another_as_the_data_s_notes_say() -> None:
    lines = inspect_data.contradiction_lines()
    assert any(line.startswith("patient   621 of its 849 test pictures") for line in lines)
    assert any(line.startswith("clean     243 of its 273 test pictures") for line in lines)
    # `clean` is a part of the published test and apart from the published training.
    assert not any(line.startswith("clean") and "part of published" in line for line in lines)
