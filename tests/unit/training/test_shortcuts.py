"""Slices with something hidden, and what is made of the answers to them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroscan.network.model import CLASSES
from neuroscan.network.preprocess import Preprocessing
from training.cache import Slices
from training.data import Picture
from training.measure import measure_hidden
from training.metrics import group_weights
from training.probes import choose_probes
from training.shortcuts import head_of, only_shell, without_shell, without_tumor
from training.validate import answers_with_hidden

SIDE = 96
SPEC = Preprocessing(input_size=SIDE, resize="square, area", mean=(0, 0, 0), std=(1, 1, 1))
Pixels = NDArray[np.uint8]


def disk(x: float, y: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.asarray(np.hypot(columns - x, rows - y) <= radius)


HEAD, TUMOR = disk(48, 48, 40), disk(58, 44, 9)


def a_slice(*, tumor: bool = True) -> Pixels:
    """A gray head with a brighter scalp and, where asked for, a bright tumor."""
    pixels = np.zeros((SIDE, SIDE), dtype=np.uint8)
    pixels[HEAD] = 140
    pixels[disk(48, 48, 38)] = 90
    if tumor:
        pixels[TUMOR] = 230
    return pixels


def test_a_tumor_that_is_filled_in_looks_like_its_surroundings() -> None:
    pixels = a_slice()
    filled = without_tumor(pixels, TUMOR)
    assert np.abs(filled[TUMOR].astype(int) - 90).max() <= 5
    far = ~disk(58, 44, 14)
    assert np.array_equal(filled[far], pixels[far])
    assert pixels[TUMOR].min() == 230


def test_a_rim_around_the_outline_is_filled_in_too() -> None:
    pixels = a_slice(tumor=False)
    pixels[disk(58, 44, 10)] = 230
    assert without_tumor(pixels, TUMOR).max() == 140


def test_nothing_is_filled_in_without_an_outline() -> None:
    nothing = np.zeros((SIDE, SIDE), dtype=np.bool_)
    assert np.array_equal(without_tumor(a_slice(), nothing), a_slice())


def test_scalp_and_inside_are_hidden_in_turn() -> None:
    pixels = a_slice()
    inside, outside = (change(pixels, head_of(pixels)) for change in (without_shell, only_shell))
    assert np.array_equal(np.maximum(inside, outside), pixels)
    assert inside[disk(48, 48, 30)].min() >= 90
    assert inside[~disk(48, 48, 36)].max() == 0
    assert outside[disk(48, 48, 30)].max() == 0
    assert outside[HEAD & ~disk(48, 48, 37)].min() >= 90


def test_where_the_border_cuts_the_head_it_is_scalp_as_well() -> None:
    cut = np.ascontiguousarray(a_slice()[:, 30:])
    assert without_shell(cut, head_of(cut))[:, :3].max() == 0


def test_a_picture_without_a_head_counts_as_head_everywhere() -> None:
    black = np.zeros((40, 60), dtype=np.uint8)
    assert head_of(black).all()
    assert head_of(black).shape == black.shape


@given(rows=st.integers(24, 200), columns=st.integers(24, 200), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_shape_and_type_stay_and_the_slice_is_left_as_it_was(
    rows: int, columns: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (rows, columns)).astype(np.uint8)
    tumor = np.zeros((rows, columns), dtype=np.bool_)
    tumor[rows // 3 : rows // 2, columns // 3 : columns // 2] = True
    before = pixels.copy()
    head = head_of(pixels)
    for changed in (
        without_tumor(pixels, tumor),
        without_shell(pixels, head),
        only_shell(pixels, head),
    ):
        assert (changed.shape, changed.dtype) == (pixels.shape, pixels.dtype)
    assert np.array_equal(pixels, before)


class ByBrightness(nn.Module):
    """Names a glioma where anything in the middle is bright, as a network should; else no tumor."""

    def forward(self, batch: Tensor) -> Tensor:
        bright = (batch[:, 0, 20:76, 20:76].flatten(1).amax(dim=1) > 0.8).float()
        answers = torch.zeros((len(batch), len(CLASSES)))
        answers[:, CLASSES.index("glioma")] = bright
        answers[:, CLASSES.index("no_tumor")] = 1 - bright
        return answers


class ByScalp(nn.Module):
    """Names a glioma wherever there is a scalp, tumor or not."""

    def forward(self, batch: Tensor) -> Tensor:
        answers = torch.zeros((len(batch), len(CLASSES)))
        scalp = (batch[:, 0, 47:49, :12].flatten(1).amax(dim=1) > 0.4).float()
        answers[:, CLASSES.index("glioma")] = scalp
        answers[:, CLASSES.index("no_tumor")] = 1 - scalp
        return answers


def some_slices(tumors: int, healthy: int) -> Slices:
    labels = ["glioma"] * tumors + ["no_tumor"] * healthy
    pixels = [a_slice(tumor=True)] * tumors + [a_slice(tumor=False)] * healthy
    masks = [np.where(TUMOR, np.uint8(255), np.uint8(0))] * tumors
    masks += [np.zeros((SIDE, SIDE), dtype=np.uint8)] * healthy
    return Slices(
        pixels=torch.from_numpy(np.stack(pixels)),
        masks=torch.from_numpy(np.stack(masks)),
        known=torch.ones(len(labels), dtype=torch.bool),
        labels=torch.tensor([CLASSES.index(label) for label in labels]),
        pictures=tuple(
            Picture(f"{n}.png", label, f"{n}", "val", None, mirrored=False)
            for n, label in enumerate(labels)
        ),
    )


@pytest.mark.parametrize(
    ("network", "without_tumor", "without_shell", "only_shell"),
    [(ByBrightness(), 0.0, 1.0, 1 / 4), (ByScalp(), 1.0, 1 / 4, 3 / 4)],
)
def test_a_network_that_goes_by_the_tumor_is_told_from_one_that_goes_by_the_scalp(
    network: nn.Module, without_tumor: float, without_shell: float, only_shell: float
) -> None:
    probes = choose_probes(some_slices(6, 2), maps=6)
    found = answers_with_hidden(network, probes.hidden, SPEC, batch_size=4)
    assert found == {
        "without_tumor": without_tumor,
        "without_shell": without_shell,
        "only_shell": only_shell,
    }


def test_without_outlined_tumors_no_share_is_made_up() -> None:
    probes = choose_probes(some_slices(0, 2), maps=6)
    assert answers_with_hidden(ByBrightness(), probes.hidden, SPEC, batch_size=4) == {}


def test_answers_before_and_after_are_counted_by_class() -> None:
    labels = np.array([0, 0, 0, 0, 2, 2])
    before, after = np.array([0, 0, 0, 1, 2, 2]), np.array([0, 2, 2, 1, 2, 0])
    groups = ["a", "a", "b", "b", "c", "d"]
    weights = group_weights(groups, 50, seed=0)
    glioma, healthy = measure_hidden("tumor", before, after, labels, groups, CLASSES, weights)
    assert (glioma.label, glioma.slices, glioma.groups) == ("glioma", 4, 2)
    assert (glioma.before.value, glioma.after.value, glioma.healthy.value) == (0.75, 0.25, 0.5)
    assert (healthy.label, healthy.slices, healthy.groups) == ("no_tumor", 2, 2)
    assert (healthy.before.value, healthy.after.value) == (1.0, 0.5)
    assert healthy.after == healthy.healthy
    assert (healthy.after.low, healthy.after.high) == (0.0, 1.0)
