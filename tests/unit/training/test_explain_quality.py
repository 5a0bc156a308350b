"""Which map points at tumors: known answers, the choice, and the command on a tiny set."""

import argparse
import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroscan.network.bundle import Bundle
from neuroscan.network.model import build_model
from neuroscan.settings import SHIPPED_BUNDLE
from services.explain.cam import explain, summed
from tests.unit.training.packs import write_packs, write_splits
from training import explain_quality, splits
from training.data import Picture
from training.every_map import GAUSSIAN, LAYERS, ROWS, SUMS, Row, every_map, gaussian
from training.map_scores import Scores, agreements, figures, median_estimate
from training.metrics import group_weights
from training.perturbation import faithful, randomized, rank_correlation
from training.subject import Subject


def test_every_map_is_what_explain_gives() -> None:
    torch.manual_seed(2)
    model, tensor = build_model().eval(), torch.rand(1, 3, 64, 64)
    found = every_map(model, tensor)
    assert set(found.maps) == set(ROWS)
    for row, one in found.maps.items():
        if not row.baseline:
            expected = explain(model, tensor, found.answer, row.method, row.layer).map
            assert np.allclose(one, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_a_sum_weighs_layers_alike_and_takes_what_speaks_for_the_class() -> None:
    fine = np.zeros((8, 8), np.float32)
    fine[1, 1], fine[6, 6] = 100, -500
    coarse = np.zeros((4, 4), np.float32)
    coarse[3, 3] = 0.001
    total = summed([coarse, fine])
    assert total.shape == (8, 8)
    assert total[1, 1] == pytest.approx(0.5)
    assert total[7, 7] == pytest.approx(0.5)
    assert total.min() == 0
    assert not summed([fine * 0, coarse * 0]).any()


def test_the_gaussian_peaks_in_the_middle() -> None:
    bump = gaussian(9)
    assert int(bump.argmax()) == 4 * 9 + 4
    assert np.allclose(bump, bump.T)


def test_a_median_has_an_interval_by_group() -> None:
    values = np.array([0.1, 0.2, 0.8, 0.9])
    weights = group_weights(["a", "a", "b", "b"], 500, 0)
    found = median_estimate(values, weights)
    assert found.value == 0.5
    assert (found.low, found.high) == (0.1, 0.8)


def scores(hits: list[float], dice: float) -> Scores:
    count = len(hits)
    return Scores(
        hits=np.array(hits),
        energies=np.full(count, 0.2),
        dices=np.tile(np.array([0.1, 0.2, 0.3, dice, 0.2, 0.1]), (count, 1)),
        best_dices=np.full(count, 0.7),
        sharpness=np.array([np.nan] + [0.5] * (count - 1)),
    )


def test_a_row_is_summed_up_at_the_threshold_that_was_chosen_before() -> None:
    row = Row("hirescam", LAYERS[2])
    one = scores([1, 0, 1, 1], 0.6)
    (agreement,) = agreements({row: one}, [row])
    assert (agreement.fraction, agreement.pointing) == (0.5, 0.75)
    found = figures(row, one, 0.4, ["a", "b", "c", "d"], seed=0)
    assert found.dice.value == pytest.approx(0.3)
    assert found.pointing.value == 0.75
    assert (found.without_evidence, found.sharpness, found.bound) == (1, 0.5, 0.7)


def test_rank_correlation_knows_order_and_flat_maps() -> None:
    one = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert rank_correlation(one, one**3) == pytest.approx(1)
    assert rank_correlation(one, one.max() - one) == pytest.approx(-1)
    assert rank_correlation(one, -one) == 0


def test_a_map_of_what_the_network_reads_is_truer_than_its_opposite() -> None:
    """A network that only looks at one corner of the picture, so that the true map is known."""

    class Corner(torch.nn.Module):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            seen = 2 * (batch[:, 0, :8, :8].mean(dim=(1, 2)) - 1.5)
            return torch.stack([seen, -seen], dim=1)

    tensor = torch.rand(1, 3, 32, 32)
    tensor[:, :, :8, :8] += 2
    right, wrong = np.zeros((32, 32), np.float32), np.zeros((32, 32), np.float32)
    right[:8, :8], wrong[24:, 24:] = 1, 1
    good, bad = Row("hirescam", LAYERS[0]), Row("gradcam", LAYERS[0])
    found = faithful(Corner(), tensor, 0, {good: right, bad: wrong})
    assert found[good].deletion < found[bad].deletion
    assert found[good].insertion > found[bad].insertion
    assert found[good].road > 0.1


def test_a_map_of_the_network_changes_with_its_weights_and_a_bump_does_not() -> None:
    model = Bundle.read(SHIPPED_BUNDLE).load_model()
    torch.manual_seed(5)
    tensor = torch.rand(1, 3, 64, 64)
    seen = every_map(model, tensor, 1)
    row, bump = Row("hirescam", LAYERS[2]), Row(GAUSSIAN, "")
    found = randomized(model, tensor, 1, {one: seen.maps[one] for one in (row, bump)}, seed=0)
    assert found[bump] == pytest.approx(1)
    assert abs(found[row]) < 0.6


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs")
    write_splits(write_packs(folder, each=4), folder / "splits")
    return folder


def test_the_command_measures_writes_and_keeps_its_choice(
    packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "FOLDER", packs / "splits")
    monkeypatch.setattr(explain_quality, "PERTURBED", 1)
    folder = tmp_path / "bundle"
    folder.mkdir()
    for path in SHIPPED_BUNDLE.iterdir():
        if path.is_file():
            shutil.copyfile(path, folder / path.name)
    before = Bundle.read(folder).description
    explain_quality.main(
        argparse.Namespace(
            bundle=folder, data=packs, out=tmp_path, seed=0, threads=1, limit=2, write=True
        )
    )
    found = json.loads((tmp_path / "explain-quality.json").read_text())
    assert (found["validation_slices"], found["test_slices"]) == (2, 2)
    assert found["sha256"] == before.sha256
    assert len(found["test"]) == len(ROWS)
    text = (tmp_path / "explain-quality.md").read_text()
    assert text.startswith("### Which map points at tumors")
    assert all(f"`{layer}`" in text for layer in (*LAYERS, *SUMS))
    assert (tmp_path / "figures" / "explain-quality.png").stat().st_size > 1000
    after = Bundle.read(folder).description
    assert after.explanation.reason == found["chosen"]["reason"]
    assert after.pointing_accuracy(after.explanation.method, after.explanation.layer) is not None
    assert {**after.metrics, "maps": None} == {**before.metrics, "maps": None}


def test_the_test_slices_have_no_say_in_the_choice(
    packs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splits, "FOLDER", packs / "splits")
    monkeypatch.setattr(explain_quality, "PERTURBED", 1)
    whole = explain_quality._score
    chosen = []
    for turned in (False, True):

        def score(
            subject: Subject, pictures: list[Picture], name: str, turned: bool = turned
        ) -> dict[Row, Scores]:
            found = whole(subject, pictures, name)
            if name == "test" and turned:
                return {
                    row: dataclasses.replace(one, hits=1 - one.hits, dices=1 - one.dices)
                    for row, one in found.items()
                }
            return found

        monkeypatch.setattr(explain_quality, "_score", score)
        explain_quality.main(
            argparse.Namespace(
                bundle=SHIPPED_BUNDLE, data=packs, out=tmp_path, seed=0, threads=1, limit=2,
                write=False,
            )
        )  # fmt: skip
        chosen.append(json.loads((tmp_path / "explain-quality.json").read_text())["chosen"])
    assert chosen[0] == chosen[1]
