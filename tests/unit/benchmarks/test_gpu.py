"""What the GPU benchmark says where there is no GPU, and how it compares answers."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import BUNDLE, _agreement, made_slices, main
from neuroscan.network.bundle import Bundle
from neuroscan.settings import SHIPPED_BUNDLE
from services.inference.engine import Prediction


def test_without_a_gpu_it_says_so_and_succeeds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    assert capsys.readouterr().out.splitlines() == ["no GPU here: nothing of it is measured"]
    content = json.loads((tmp_path / "build" / "bench" / "gpu.json").read_text())
    assert content["verdicts"] == []


def test_the_bundle_is_the_shipped_one() -> None:
    assert BUNDLE == SHIPPED_BUNDLE


def test_differences_are_counted() -> None:
    bundle = Bundle.read(BUNDLE)
    threshold = bundle.description.input_check.threshold
    right = [
        Prediction((0.7, 0.1, 0.1, 0.1), distance=1.0),
        Prediction((0.4, 0.39, 0.11, 0.1), distance=threshold * 0.99),
    ]
    found = [
        Prediction((0.68, 0.12, 0.1, 0.1), distance=1.1),
        Prediction((0.39, 0.4, 0.11, 0.1), distance=threshold * 1.01),
    ]
    counted = _agreement("float16", bundle, found, right)
    assert counted.probability == pytest.approx(0.02)
    assert counted.distance_share == pytest.approx(0.1)
    assert (counted.slices, counted.other_label, counted.other_acceptance) == (2, 1, 1)


def test_made_slices_differ_and_repeat() -> None:
    first, second = made_slices(2), made_slices(2)
    assert (first[0] == second[0]).all()
    assert (first[0] != first[1]).any()
    assert first[0].shape == (512, 512)
