"""Training slices with a tumor, or a place beside it, filled in."""

import numpy as np
import torch

from neuroscan.network.model import CLASSES
from services.spatial.head import Mask
from training.cache import Slices
from training.data import Picture
from training.hide import NO_TUMOR, hide

SIDE = 96
GLIOMA = CLASSES.index("glioma")


def disk(x: int, y: int, radius: int) -> Mask:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.asarray(np.hypot(columns - x, rows - y) <= radius)


TUMOR = disk(60, 44, 8)


def slices() -> Slices:
    """A striped head with an outlined tumor, one with a tumor that nobody outlined, and none."""
    head = np.where(disk(48, 48, 40), 60 + 40 * (np.indices((SIDE, SIDE)).sum(0) % 7 < 3), 0)
    ill = np.where(TUMOR, 230, head)
    masks = np.stack([np.where(TUMOR, 255, 0), np.zeros_like(head), np.zeros_like(head)])
    return Slices(
        pixels=torch.from_numpy(np.stack([ill, ill, head]).astype(np.uint8)),
        masks=torch.from_numpy(masks.astype(np.uint8)),
        known=torch.tensor([True, False, True]),
        labels=torch.tensor([GLIOMA, GLIOMA, NO_TUMOR]),
        pictures=tuple(Picture(f"{n}.png", "glioma", "g", "train", None, False) for n in range(3)),
    )


def test_the_tumor_goes_in_one_and_stays_in_the_other() -> None:
    some = slices()
    hidden = hide(some, seed=0)
    inside = torch.from_numpy(TUMOR)
    assert hidden.tumor[0][inside].max() < 140
    assert torch.equal(hidden.elsewhere[0][inside], some.pixels[0][inside])
    assert not torch.equal(hidden.elsewhere[0], some.pixels[0])
    assert hidden.outlined.tolist() == [True, False, False]


def test_what_is_filled_in_beside_lies_clear_of_the_tumor() -> None:
    some = slices()
    # The filling reaches a little beyond the outline that it is given.
    core = torch.from_numpy(disk(60, 44, 5))
    for seed in range(20):
        assert torch.equal(hide(some, seed).elsewhere[0][core], some.pixels[0][core])


def test_a_tumor_that_nobody_outlined_is_left_alone() -> None:
    some = slices()
    hidden = hide(some, seed=0)
    assert torch.equal(hidden.tumor[1], some.pixels[1])
    assert torch.equal(hidden.elsewhere[1], some.pixels[1])


def test_a_slice_without_a_tumor_has_another_s_outline_filled_in() -> None:
    some = slices()
    hidden = hide(some, seed=0)
    assert torch.equal(hidden.tumor[2], hidden.elsewhere[2])
    changed = (hidden.tumor[2] != some.pixels[2]).sum()
    assert 50 < changed < 4 * TUMOR.sum()


def test_without_any_outline_nothing_is_filled_in() -> None:
    some = slices().choose([1, 2])
    hidden = hide(some, seed=0)
    assert torch.equal(hidden.tumor, some.pixels)
    assert torch.equal(hidden.elsewhere, some.pixels)


def test_only_a_slice_whose_tumor_is_gone_changes_its_class_and_loses_its_mask() -> None:
    some = slices()
    hidden = hide(some, seed=0)
    places = torch.arange(3).repeat(200)
    generator = torch.Generator().manual_seed(0)
    pixels, masks, labels = hidden.draw(some, places, 0.5, generator)
    gone = (pixels == hidden.tumor[places]).flatten(1).all(1) & (places == 0)
    assert 30 < gone.sum() < 70
    assert (labels[gone] == NO_TUMOR).all()
    assert masks[gone].max() == 0
    rest = ~gone
    assert torch.equal(labels[rest], some.labels[places[rest]])
    assert torch.equal(masks[rest], some.masks[places[rest]])
    beside = (pixels == hidden.elsewhere[places]).flatten(1).all(1) & (places == 0)
    assert 30 < beside.sum() < 70


def test_a_chance_of_nothing_hides_nothing() -> None:
    some = slices()
    pixels, masks, labels = hide(some, seed=0).draw(
        some, torch.arange(3), 0.0, torch.Generator().manual_seed(0)
    )
    assert torch.equal(pixels, some.pixels)
    assert torch.equal(masks, some.masks)
    assert torch.equal(labels, some.labels)
