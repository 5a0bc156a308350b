"""The midline shift, measured in the pixels by comparing rows with those of the unshifted head."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from neuroscan.phantoms import LesionSpec, Lobe, Phantom, PhantomSpec, Side, make_phantom
from neuroscan.phantoms.scan import shift_center_y_mm

CENTER_Y_MM, SCALE, SIZE_PX = -18.0, 0.93, 256


def row_of(y_mm: float) -> int:
    """The picture's row of an MNI y in an unrotated head at 1 mm."""
    return round((SIZE_PX - 1) / 2 - SCALE * (y_mm - CENTER_Y_MM))


def displacement_px(moved: Phantom, still: Phantom, rows: slice) -> float:
    """Columns by which the middle of some rows moved to the right, by least squares."""
    middle = np.arange(SIZE_PX // 2 - 22, SIZE_PX // 2 + 22)

    def profile(phantom: Phantom) -> NDArray[np.float64]:
        smooth: NDArray[np.float64] = ndimage.gaussian_filter(phantom.pixels.astype(float), 1.0)
        return np.asarray(smooth[rows].mean(axis=0), dtype=np.float64)

    reference, target = profile(still), profile(moved)
    tried = np.arange(-18, 18.05, 0.1)
    columns = np.arange(SIZE_PX)
    errors = [
        np.mean((target[middle] - np.interp(middle - t, columns, reference)) ** 2) for t in tried
    ]
    return float(tried[int(np.argmin(errors))])


@pytest.mark.parametrize("level_mm", [2.0, 18.0])
@pytest.mark.parametrize("shift_mm", [3.0, 8.0, 12.0])
@pytest.mark.parametrize("toward", list(Side))
def test_septum_and_third_ventricle_move_by_the_stated_shift(
    level_mm: float, shift_mm: float, toward: Side
) -> None:
    still = make_phantom(PhantomSpec("x", 6, level_mm=level_mm))
    spec = PhantomSpec(
        "x", 6, level_mm=level_mm, midline_shift_mm=shift_mm, shift_toward=toward, noise=0.006
    )
    moved = make_phantom(spec)
    center = row_of(shift_center_y_mm(level_mm))
    found = displacement_px(moved, still, slice(center - 6, center + 7))
    # The patient's left is the picture's right.
    assert found == pytest.approx(shift_mm if toward is Side.LEFT else -shift_mm, abs=0.5)
    assert moved.truth.midline_shift_mm == shift_mm
    assert moved.truth.midline_shift_toward is toward


def test_falx_attachments_and_skull_stay() -> None:
    still = make_phantom(PhantomSpec("x", 6, level_mm=18, noise=0))
    moved = make_phantom(
        PhantomSpec("x", 6, level_mm=18, midline_shift_mm=10, shift_toward=Side.LEFT, noise=0)
    )
    for y_mm in (66, -97):
        row = row_of(y_mm)
        assert displacement_px(moved, still, slice(row - 1, row + 2)) == pytest.approx(0, abs=0.6)
    assert np.array_equal(moved.brain_mask, still.brain_mask)
    outside = ~ndimage.binary_dilation(still.brain_mask, iterations=2)
    difference = moved.pixels.astype(int) - still.pixels.astype(int)
    assert np.abs(difference[outside]).max() <= 3


def test_a_lesion_pushes_the_midline_away_from_itself() -> None:
    for side in Side:
        spec = PhantomSpec("x", 2, LesionSpec(side, Lobe.TEMPORAL), midline_shift_mm=8)
        assert make_phantom(spec).truth.midline_shift_toward is side.other
