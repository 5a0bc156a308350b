"""What is fitted and measured for a bundle is so on its own split, apart from its training."""

import argparse
import dataclasses
import json
from pathlib import Path

import pytest
import torch

from neuroscan.network.bundle import Bundle
from neuroscan.network.model import build_model
from tests.unit.training.packs import write_packs, write_splits
from tests.unit.training.test_training import TINY
from training import calibrate, evaluate, export, splits
from training.data import DataPacks
from training.errors import DataError
from training.evaluation import Evaluation, read_found
from training.refusal import LeakError
from training.run import RunFacts
from training.splits import read_split


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packs with 36 drawn slices a class, and their splits as the committed ones."""
    folder = tmp_path / "data"
    write_splits(write_packs(folder, 18), tmp_path / "splits")
    monkeypatch.setattr(splits, "FOLDER", tmp_path / "splits")
    return folder


def untrained(folder: Path, split: str, *, fold: int | None = None) -> Path:
    """The first half of a bundle that says it was trained on a split."""
    parts = ("train", "val") if fold else ("train",)
    entries = [entry for entry in read_split(split) if entry.part in parts]
    pictures = tuple({entry.picture for entry in entries})
    recipe = dataclasses.replace(TINY, split=split)
    torch.manual_seed(0)
    facts = RunFacts("random weights", len(pictures), None, "CPU", "2", pictures, fold)
    export.write_network(
        folder,
        build_model().state_dict(),
        recipe,
        name="untrained",
        version="1",
        training=export.training_facts(recipe, facts, {"epoch": 1}),
        unique_ids=pictures,
    )
    return folder


def fit(bundle: Path, data: Path) -> None:
    calibrate.main(
        argparse.Namespace(
            bundle=bundle, data=data, threads=1, maps=2, only_probabilities=False, version=None
        )
    )


def measure(bundle: Path, data: Path, split: str, out: Path) -> Evaluation:
    evaluate.main(
        argparse.Namespace(
            bundle=bundle, data=data, split=split, out=out, ood=None,
            seed=0, threads=1, sample=1, quick=True,
        )
    )  # fmt: skip
    return read_found(out / "evaluation.json", Evaluation)


def test_the_paper_s_protocol_is_fitted_and_measured_on_its_own_split(
    data: Path, tmp_path: Path
) -> None:
    bundle = untrained(tmp_path / "bundle", "published")
    fit(bundle, data)
    description = Bundle.read(bundle).description
    with DataPacks(data) as packs:
        validation = packs.part("published", "val")
    assert description.calibration.n == 4 * len(validation)
    for told in (
        description.calibration.split,
        description.conformal.split,
        description.input_check.fitted_on,
    ):
        assert "published, " in told
        assert "patient" not in told
    # The test part is for `evaluate`.
    assert "test" not in description.metrics
    leaking = measure(bundle, data, "published", tmp_path / "published")
    assert leaking.measured.copies_in_training > 0
    clean = measure(bundle, data, "clean", tmp_path / "clean").measured
    assert clean.copies_in_training == 0
    assert 0 < clean.related_to_training <= clean.slices
    text = (tmp_path / "clean" / "evaluation.md").read_text()
    assert f"{clean.related_to_training} slices belong to groups of which others are" in text
    assert "easier question" not in text
    with pytest.raises(LeakError, match="patient split stand in the bundle's training manifest"):
        measure(bundle, data, "patient", tmp_path / "patient")
    assert not (tmp_path / "patient" / "evaluation.json").exists()


def test_what_was_trained_on_a_validation_part_is_not_fitted_on_it(
    data: Path, tmp_path: Path
) -> None:
    bundle = untrained(tmp_path / "bundle", "patient", fold=2)
    before = (bundle / "bundle.json").read_text()
    assert "train and val without fold 2 of 5" in before
    with pytest.raises(LeakError, match="patient, val split stand in"):
        fit(bundle, data)
    assert (bundle / "bundle.json").read_text() == before


def test_a_bundle_of_no_known_split_is_refused(data: Path, tmp_path: Path) -> None:
    bundle = untrained(tmp_path / "bundle", "patient")
    content = json.loads((bundle / "bundle.json").read_text())
    content["training"]["split"] = "elsewhere, train"
    (bundle / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="which is no split here"):
        fit(bundle, data)
