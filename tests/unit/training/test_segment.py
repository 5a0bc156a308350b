"""Training the decoder: its loss, that it learns and resumes, its thresholds, its bundle."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from neuroscan.network.bundle import Bundle, BundleError, SegmentationSpec
from neuroscan.network.model import build_model
from neuroscan.network.preprocess import Preprocessing
from neuroscan.network.segmenter import SegmenterShape
from neuroscan.settings import REPOSITORY, SHIPPED_BUNDLE
from tests.unit.training.packs import write_packs, write_splits
from training import fit_segmenter, segment, splits
from training.cache import Slices, load_slices
from training.data import DataPacks
from training.fit_segmenter import Seen, fit, validation_figures
from training.recipe import Augmentation, RecipeError
from training.segment import SegmentTrainer, decoder_loss
from training.segment_recipe import SegmentRecipe, read_segment_recipe

SHAPE = SegmenterShape(64, (6, 8, 10, 12, 14), ("layer1[-1]", "layer2[-1]"), (8, 16))
TINY = SegmentRecipe(
    name="tiny",
    shape=SHAPE,
    epochs=14,
    batch_size=6,
    learning_rate=5e-3,
    average=0.8,
    augmentation=Augmentation(flip_horizontal=0.5, rotation_deg=10),
)
BACKBONE = Preprocessing(input_size=32, resize="square, area", mean=(0.449,) * 3, std=(0.226,) * 3)
SPEC = SegmentationSpec(
    file="x", sha256="", shape=SHAPE, threshold=0.5, loose=0.5, tight=0.5, least_peak=0.5,
    least_peak_agreed=0.5, fitted_on="", training={},
)  # fmt: skip


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs")
    write_splits(write_packs(folder, each=8), folder / "splits")
    return folder


@pytest.fixture
def own_splits(packs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(splits, "FOLDER", packs / "splits")
    return packs


def slices(packs: Path, part: str) -> Slices:
    with DataPacks(packs) as source:
        return load_slices(
            source, source.patient_split(part), Preprocessing(64, "square, area", grayscale=True)
        )


def trainer(packs: Path) -> SegmentTrainer:
    torch.manual_seed(7)
    backbone = build_model().eval().requires_grad_(requires_grad=False)
    return SegmentTrainer(TINY, backbone, BACKBONE, slices(packs, "train"), slices(packs, "val"))


def test_the_loss_is_nothing_for_the_mask_itself_and_counts_every_slice_alike() -> None:
    masks = torch.zeros(2, 32, 32)
    masks[0, 4:28, 4:28] = 1
    masks[1, 10:13, 10:13] = 1
    right = (masks * 2 - 1) * 12
    assert float(decoder_loss(right, masks, 1.0)) < 0.01
    blank = torch.full_like(masks, -12.0)
    missed = [right.clone(), right.clone()]
    for place in (0, 1):
        missed[place][place] = blank[place]
    without_entropy = [
        float(decoder_loss(one, masks, 1.0) - decoder_loss(one, masks, 0.0)) for one in missed
    ]
    # A small tumor that is missed costs as much as a large one.
    assert without_entropy == pytest.approx([0.5, 0.5], abs=0.06)


def test_slices_without_a_tumor_teach_silence_only() -> None:
    masks = torch.zeros(2, 16, 16)
    loud, quiet = torch.zeros(2, 16, 16), torch.full((2, 16, 16), -9.0)
    assert float(decoder_loss(quiet, masks, 1.0)) < 0.001 < float(decoder_loss(loud, masks, 1.0))
    assert float(decoder_loss(loud, masks, 1.0)) == float(decoder_loss(loud, masks, 0.0))


def test_it_learns_to_outline_and_the_backbone_stays_as_it_was(own_splits: Path) -> None:
    one = trainer(own_splits)
    before = {name: value.clone() for name, value in one._backbone.state_dict().items()}
    first = one.measure()
    rows = []
    while not one.finished:
        rows.append(one.run_epoch())
    assert float(rows[-1]["train_loss"]) < 0.5 * float(rows[0]["train_loss"])
    assert float(rows[-1]["val_mean_dice"]) > first.mean_dice + 0.3
    assert float(rows[-1]["val_peak_inside"]) > 0.8
    for name, value in one._backbone.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_resumed_run_ends_as_one_that_went_through(own_splits: Path, tmp_path: Path) -> None:
    through, stopped = trainer(own_splits), trainer(own_splits)
    for _ in range(2):
        through.run_epoch()
    stopped.run_epoch()
    stopped.save(tmp_path / "checkpoint.pt")
    resumed = trainer(own_splits)
    resumed.restore(tmp_path / "checkpoint.pt")
    resumed.run_epoch()
    for name, value in through.averaged.state_dict().items():
        torch.testing.assert_close(resumed.averaged.state_dict()[name], value)


def seen(peak: float, *, tumor: bool, radius: float = 10.0, agreed: bool | None = None) -> Seen:
    """A probability that falls off in rings around a disk of `radius` px; rightly classified."""
    y, x = np.mgrid[:64, :64]
    distance = np.hypot(x - 32, y - 32)
    truth = distance <= radius
    chance = peak / (1 + np.exp((distance - 10.0) / 2))
    return Seen(chance.astype(np.float32), truth if tumor else None, (64, 64),
                tumor if agreed is None else agreed)  # fmt: skip


def test_thresholds_follow_the_validation_slices() -> None:
    drawn = [seen(0.99, tumor=True, radius=radius) for radius in (9, 10, 10, 10, 11)]
    plain = [seen(0.65, tumor=False) for _ in range(4)]
    fitted = fit(drawn + plain, SPEC)
    # Half of the peak's probability is where the disk ends.
    assert fitted.threshold == pytest.approx(0.5, abs=0.06)
    assert 0.65 < fitted.least_peak <= 0.72
    assert fitted.loose < fitted.threshold < fitted.tight
    figures = validation_figures(drawn + plain, SegmentationSpec(**{**vars(SPEC), **vars(fitted)}))
    assert figures["silent"] == 1.0
    assert figures["without_region"] == 0
    assert float(str(figures["median_dice"])) > 0.95
    assert float(str(figures["range_covers"])) >= 0.8


def test_silence_is_not_bought_with_many_tumors() -> None:
    drawn = [seen(0.7, tumor=True) for _ in range(6)] + [seen(0.99, tumor=True)]
    plain = [seen(0.8, tumor=False), *(seen(0.1, tumor=False) for _ in range(9))]
    assert fit(drawn + plain, SPEC).least_peak <= 0.7


def test_a_faint_region_is_enough_where_the_network_names_a_tumor() -> None:
    faint = [seen(0.6, tumor=True) for _ in range(3)]
    drawn = [seen(0.99, tumor=True) for _ in range(200)] + faint
    plain = [seen(0.9, tumor=False) for _ in range(5)]
    fitted = fit(drawn + plain, SPEC)
    assert fitted.least_peak_agreed <= 0.6
    assert fitted.least_peak >= 0.9
    spec = SegmentationSpec(**{**vars(SPEC), **vars(fitted)})
    figures = validation_figures(drawn + plain, spec)
    assert (figures["without_region"], figures["silent"]) == (0, 1.0)
    # Where healthy slices are taken for tumors as often as tumors are faint, nothing is gained.
    wrong = [seen(0.9, tumor=False, agreed=True) for _ in range(5)]
    assert fit(drawn + wrong, SPEC).least_peak_agreed >= 0.9


def test_by_itself_the_decoder_is_held_to_its_own_level() -> None:
    spec = SegmentationSpec(**{**vars(SPEC), "least_peak": 0.9})
    plain = [seen(0.7, tumor=False, agreed=agreed) for agreed in (True, False)]
    figures = validation_figures([seen(0.95, tumor=True), *plain], spec)
    assert (figures["silent"], figures["silent_by_itself"]) == (0.5, 1.0)


def test_a_trained_decoder_joins_its_bundle_and_no_other(own_splits: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    content = json.loads((SHIPPED_BUNDLE / "bundle.json").read_text())
    content.pop("segmentation", None)
    for file in (content["weights"], content["input_check"]["file"]):
        (bundle / file).symlink_to(SHIPPED_BUNDLE / file)
    (bundle / "bundle.json").write_text(json.dumps(content))
    recipe = {
        "name": "tiny", "epochs": 1, "batch_size": 6, "learning_rate": 0.004,
        "shape": {
            "input_size": 64, "widths": [4, 4, 4, 4, 4], "layers": ["layer1[-1]"], "joins": [8],
        },
    }  # fmt: skip
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    run = tmp_path / "run"
    shared = {"bundle": bundle, "data": own_splits, "threads": 2}
    asked = argparse.Namespace(
        **shared, config=tmp_path / "recipe.yaml", out=run, resume=False, device="cpu",
        minutes=None, start=None,
    )  # fmt: skip
    segment.main(asked)
    with pytest.raises(RecipeError, match="holds a run already"):
        segment.main(asked)
    asked.resume, asked.minutes = True, 5.0
    with pytest.raises(RecipeError, match="a run with another minutes"):
        segment.main(asked)
    fit_segmenter.main(argparse.Namespace(**shared, run_folder=run))
    read = Bundle.read(bundle)
    assert read.load_segmenter() is not None
    spec = read.description.segmentation
    assert spec is not None
    assert spec.training["slices"] == 32
    assert read.description.metrics["segmentation"] != {}
    facts = json.loads((run / "segment.json").read_text())
    (run / "segment.json").write_text(json.dumps({**facts, "backbone": "another"}))
    with pytest.raises(BundleError, match="another backbone"):
        fit_segmenter.main(argparse.Namespace(**shared, run_folder=run))


def test_it_starts_from_a_bundle_or_a_run_of_its_own_shape(packs: Path, tmp_path: Path) -> None:
    recipe = read_segment_recipe(REPOSITORY / "training" / "configs" / "segment.yaml")
    both = slices(packs, "train"), slices(packs, "val")
    shipped = Bundle.read(SHIPPED_BUNDLE).load_segmenter()
    assert shipped is not None
    of_bundle = SegmentTrainer(recipe, build_model().eval(), BACKBONE, *both)
    of_bundle.start_from(SHIPPED_BUNDLE)
    torch.save({"segmenter": of_bundle.averaged.state_dict(), "row": {}}, tmp_path / "best.pt")
    of_run = SegmentTrainer(recipe, build_model().eval(), BACKBONE, *both)
    of_run.start_from(tmp_path)
    for started in (of_bundle, of_run):
        for name, value in shipped.state_dict().items():
            assert torch.equal(started.segmenter.state_dict()[name], value), name
            assert torch.equal(started.averaged.state_dict()[name], value), name
    tiny = SegmentTrainer(TINY, build_model().eval(), BACKBONE, *both)
    for unfit in (SHIPPED_BUNDLE, tmp_path, tmp_path / "none"):
        with pytest.raises(RecipeError, match="can't be started from"):
            tiny.start_from(unfit)


def test_the_recipe_that_is_shipped_can_be_read(tmp_path: Path) -> None:
    recipe = read_segment_recipe(REPOSITORY / "training" / "configs" / "segment.yaml")
    assert recipe.shape.input_size == 256
    (tmp_path / "broken.yaml").write_text("name: x\nshape: {}\n")
    with pytest.raises(RecipeError, match="lacks"):
        read_segment_recipe(tmp_path / "broken.yaml")
