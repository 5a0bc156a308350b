"""A region held against a known one, on a drawn head."""

import numpy as np
import pytest

from benchmarks.agreement import Held, dice, hold, size_of
from neuroscan.imaging.region_mask import RegionMask
from tests.unit.spatial.heads import Ellipse, axial_head, with_lesion

TRUTH = Ellipse(160, 120, 30, 20).mask()
PIXELS = with_lesion(axial_head(), TRUTH)
PEAK = (120, 160)


def held(region: RegionMask, peak: tuple[int, int] = PEAK) -> Held:
    annotated = size_of(PIXELS, RegionMask.certain(TRUTH), "axial", 0.5)
    return hold(PIXELS, TRUTH, annotated, region, peak, "axial", 0.5)


def test_the_tumor_itself_has_no_error() -> None:
    found = held(RegionMask.certain(TRUTH))
    assert found.peak_inside
    assert (found.dice, found.centroid_mm) == (1.0, 0.0)
    assert (found.area_error, found.longest_error) == (0.0, 0.0)
    assert found.range_holds
    assert found.side_right


def test_a_region_moved_by_ten_pixels_is_five_millimeters_off() -> None:
    found = held(RegionMask.certain(np.roll(TRUTH, 10, axis=1)))
    assert found.centroid_mm == pytest.approx(5.0)
    assert 0.4 < found.dice < 0.7
    assert found.area_error == pytest.approx(0.0)


def test_a_larger_region_is_too_long_and_its_range_may_say_so() -> None:
    large = Ellipse(160, 120, 39, 26).mask()
    found = held(RegionMask.certain(large))
    assert found.longest_error == pytest.approx(30, abs=3)
    assert found.area_error == pytest.approx(69, abs=4)
    assert not found.range_holds
    tight = Ellipse(160, 120, 28, 18).mask()
    assert held(RegionMask(large, large, tight)).range_holds


def test_the_other_side_is_wrong_and_the_peak_outside_is_a_miss() -> None:
    mirrored = np.ascontiguousarray(TRUTH[:, ::-1])
    annotated = size_of(PIXELS, RegionMask.certain(TRUTH), "axial", 0.5)
    assert annotated.lateralized
    assert annotated.offset_px > 0
    found = held(RegionMask.certain(mirrored), (2, 2))
    assert not found.side_right
    assert not found.peak_inside


def test_dice_counts_both_masks() -> None:
    one, other = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    one[:2], other[1:3] = True, True
    assert dice(one, other) == 0.5
