"""The mean of a run's best and last weights: what it is, when it is kept, that export takes it."""

import dataclasses
from pathlib import Path

import pytest
import torch

from neuroscan.network.model import build_model
from neuroscan.network.preprocess import Preprocessing
from tests.unit.training.packs import write_packs, write_splits
from training import splits, train
from training.blend import BLEND, blend, mean_of
from training.cache import load_slices
from training.data import DataPacks
from training.export import training_facts
from training.recipe import Phase, Recipe
from training.run import RunFacts
from training.trainer import BEST, Trainer

RECIPE = Recipe(
    name="tiny",
    split="patient",
    starts=("nothing",),
    preprocessing=Preprocessing(32, "square, area", mean=(0.4,) * 3, std=(0.2,) * 3),
    batch_size=8,
    phases=(Phase("all", 2, ("fc",), 1e-3),),
    blend=True,
)


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    """A run that stands at its second epoch."""
    write_splits(write_packs(tmp_path), tmp_path / "splits")
    monkeypatch.setattr(splits, "FOLDER", tmp_path / "splits")
    with DataPacks(tmp_path) as source:
        slices = [
            load_slices(source, source.patient_split(part), RECIPE.preprocessing)
            for part in ("train", "val")
        ]
    torch.manual_seed(3)
    trainer = Trainer(RECIPE, build_model(), *slices)
    trainer.progress.epoch = 2
    return trainer


def save_best(trainer: Trainer, folder: Path, epoch: int, log_loss: float) -> None:
    model = {
        name: value + 0.02 if name.startswith("fc") else value
        for name, value in trainer.best_model.state_dict().items()
    }
    torch.save({"model": model, "row": {"epoch": epoch, "val_log_loss": log_loss}}, folder / BEST)


def test_the_mean_is_of_every_weight_and_statistic() -> None:
    first = {"weight": torch.tensor([1.0, 3.0]), "num_batches_tracked": torch.tensor(5)}
    second = {"weight": torch.tensor([3.0, -3.0]), "num_batches_tracked": torch.tensor(9)}
    mean = mean_of(first, second)
    assert mean["weight"].tolist() == [2.0, 0.0]
    assert int(mean["num_batches_tracked"]) == 5


def test_it_is_kept_where_validation_prefers_it(finished: Trainer, tmp_path: Path) -> None:
    save_best(finished, tmp_path, epoch=1, log_loss=1e9)
    blend(finished, tmp_path)
    kept = torch.load(tmp_path / BLEND, weights_only=True)
    assert (kept["row"]["epoch"], kept["row"]["blended_with"]) == (1, 2)
    last = finished.best_model.state_dict()["fc.0.weight"]
    torch.testing.assert_close(kept["model"]["fc.0.weight"], last + 0.01)
    again = finished.measure()
    assert again.log_loss != kept["row"]["val_log_loss"]
    facts = RunFacts("nothing", 16, None, "CPU", "2", ())
    assert "epoch 2, the last" in str(training_facts(RECIPE, facts, kept["row"])["chosen"])
    # A later run of the same folder that does not prefer it leaves nothing behind.
    save_best(finished, tmp_path, epoch=1, log_loss=0.0)
    blend(finished, tmp_path)
    assert not (tmp_path / BLEND).exists()


def test_the_best_epoch_is_not_blended_with_itself(finished: Trainer, tmp_path: Path) -> None:
    save_best(finished, tmp_path, epoch=2, log_loss=1e9)
    blend(finished, tmp_path)
    assert not (tmp_path / BLEND).exists()


def test_a_run_that_goes_on_takes_back_the_mean_of_its_shorter_self(
    finished: Trainer, tmp_path: Path
) -> None:
    (tmp_path / BLEND).write_bytes(b"of an earlier end")
    finished.progress.epoch = 1
    finished.recipe = dataclasses.replace(RECIPE, blend=False)
    train.run(finished, tmp_path)
    assert (tmp_path / BEST).is_file()
    assert not (tmp_path / BLEND).exists()
