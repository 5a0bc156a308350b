"""Augmentation: a slice and its mask stay together, chance comes from the generator alone."""

import pytest
import torch

from training.augment import augment, transplant
from training.recipe import Augmentation

GEOMETRY = Augmentation(
    flip_horizontal=0.5, flip_vertical=0.5, rotation_deg=30, scale=0.2, stretch=0.1, shift=0.1
)
EVERYTHING = Augmentation(
    flip_horizontal=0.5, flip_vertical=0.2, rotation_deg=20, scale=0.2, stretch=0.1, shift=0.1,
    gamma=0.4, contrast=0.3, brightness=0.1, noise=0.05, blur_px=1.0, floor=0.5, occlusion=1.0,
)  # fmt: skip


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blocks(count: int = 16) -> torch.Tensor:
    masks = torch.zeros(count, 64, 64)
    masks[:, 20:34, 24:32] = 1.0
    return masks


def test_mask_and_slice_move_together() -> None:
    masks = blocks()
    moved, tumor = augment(masks.clone(), masks, GEOMETRY, seeded())
    assert torch.allclose(moved, tumor, atol=1e-6)
    assert not torch.allclose(tumor, masks)
    assert all(float(one.sum()) > 40 for one in tumor)


def test_nothing_asked_for_changes_nothing() -> None:
    slices = torch.rand(4, 64, 64, generator=seeded(3))
    same, tumor = augment(slices, blocks(4), Augmentation(), seeded())
    assert torch.allclose(same, slices, atol=1e-5)
    assert torch.allclose(tumor, blocks(4), atol=1e-5)


def test_a_horizontal_flip_is_exact() -> None:
    slices = torch.rand(4, 64, 64, generator=seeded(3))
    flipped, _ = augment(slices, blocks(4), Augmentation(flip_horizontal=1.0), seeded())
    assert torch.allclose(flipped, slices.flip(2), atol=1e-5)


def test_the_same_seed_gives_the_same_batch_and_values_stay_in_range() -> None:
    slices = torch.rand(8, 64, 64, generator=seeded(3))
    first, _ = augment(slices, blocks(8), EVERYTHING, seeded(5))
    again, _ = augment(slices, blocks(8), EVERYTHING, seeded(5))
    other, _ = augment(slices, blocks(8), EVERYTHING, seeded(6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert float(first.min()) >= 0
    assert float(first.max()) <= 1


def test_an_occlusion_spares_the_tumor() -> None:
    slices = torch.full((32, 64, 64), 0.5)
    hidden, tumor = augment(slices, blocks(32), Augmentation(occlusion=1.0), seeded())
    assert torch.equal(hidden[tumor > 0.5], slices[tumor > 0.5])
    assert not torch.equal(hidden, slices)


def test_a_transplanted_tumor_keeps_its_place_and_loses_its_surroundings() -> None:
    slices = torch.zeros(4, 64, 64)
    slices[0] = 0.9
    slices[1] = 0.6
    slices[2], slices[3] = 0.2, 0.1
    masks = blocks(4)
    masks[1:] = 0
    healthy = torch.tensor([False, False, True, True])
    mixed = transplant(slices, masks, healthy, 1.0, seeded())
    assert float(mixed[0, 27, 28]) == pytest.approx(0.9, abs=0.01)
    assert all(value == pytest.approx(0.15, abs=0.051) for value in mixed[[0, 2, 3], 60, 60])
    # No mask, so it is not known what to keep.
    assert torch.equal(mixed[1], slices[1])


def test_without_healthy_slices_nothing_is_transplanted() -> None:
    slices = torch.rand(4, 64, 64, generator=seeded())
    healthy = torch.zeros(4, dtype=torch.bool)
    assert torch.equal(transplant(slices, blocks(4), healthy, 1.0, seeded()), slices)
