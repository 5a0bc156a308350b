"""Changes to a slice: what they keep, and that they do what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.robustness import Change, changes, mirror

CHANGES = changes()
CROP = next(change for change in CHANGES if change.kind == "crop" and "80%" in change.strength)


def slice_like(seed: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    inside = np.hypot(rows - shape[0] / 2, columns - shape[1] / 2) < min(shape) / 2.5
    pixels = inside * 120 + generator.integers(0, 30, size=shape)
    return np.asarray(pixels, dtype=np.uint8)


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: f"{one.kind} {one.strength}")
@given(seed=st.integers(0, 1000), rows=st.integers(40, 256), columns=st.integers(40, 256))
@settings(max_examples=8, deadline=None)
def test_shape_and_type_stay_and_the_result_is_the_same_each_time(
    change: Change, seed: int, rows: int, columns: int
) -> None:
    pixels = slice_like(seed, (rows, columns))
    before = pixels.copy()
    changed = change.apply(pixels)
    assert changed.shape == pixels.shape
    assert changed.dtype == np.uint8
    assert np.array_equal(pixels, before)
    assert np.array_equal(changed, change.apply(pixels))


@pytest.mark.parametrize("kind", sorted({change.kind for change in CHANGES} - {"contrast"}))
def test_a_stronger_change_moves_the_slice_further(kind: str) -> None:
    pixels = slice_like(1, (256, 256))
    moved = [
        float(np.abs(change.apply(pixels).astype(float) - pixels).mean())
        for change in CHANGES
        if change.kind == kind
    ]
    assert moved[0] > 0
    assert moved == sorted(moved)


def test_contrast_scales_the_spread() -> None:
    pixels = np.tile(np.arange(100, 156, dtype=np.uint8), (40, 1))
    for change in CHANGES:
        if change.kind == "contrast":
            factor = float(change.strength.removeprefix("× "))
            assert change.apply(pixels).std() == pytest.approx(factor * pixels.std(), rel=0.02)


def test_a_crop_magnifies_what_is_inside() -> None:
    pixels = np.zeros((200, 200), dtype=np.uint8)
    pixels[80:120, 80:120] = 200
    assert (CROP.apply(pixels) > 100).sum() == pytest.approx(40 * 40 / 0.8**2, rel=0.05)


def test_mirroring_twice_is_nothing() -> None:
    pixels = slice_like(2, (60, 90))
    assert not np.array_equal(mirror(pixels), pixels)
    assert np.array_equal(mirror(mirror(pixels)), pixels)
