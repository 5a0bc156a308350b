"""The region with its range as one gray picture."""

import io

import numpy as np
import pytest
from PIL import Image

from neuroscan.imaging.region_mask import Mask, RegionMask, read_region_mask
from neuroscan.imaging.stored import read_slice_png


def square(margin: int) -> Mask:
    result = np.zeros((40, 30), np.bool_)
    result[margin:-margin, margin:-margin] = True
    return result


def through_a_file(regions: RegionMask) -> RegionMask:
    buffer = io.BytesIO()
    Image.fromarray(regions.picture()).save(buffer, "PNG")
    return read_region_mask(read_slice_png(buffer.getvalue()))


@pytest.mark.parametrize("tight", [9, 15])
def test_the_three_regions_come_back_from_the_file(tight: int) -> None:
    read = through_a_file(RegionMask(square(3), square(6), square(tight)))
    assert np.array_equal(read.loose, square(3))
    assert np.array_equal(read.chosen, square(6))
    assert np.array_equal(read.tight, square(tight))


def test_a_certain_region_is_black_and_white() -> None:
    picture = RegionMask.certain(square(5)).picture()
    assert set(np.unique(picture)) == {0, 255}
    read = read_region_mask(picture)
    assert np.array_equal(read.loose, read.tight)


def test_regions_that_do_not_nest_are_nested_in_the_picture() -> None:
    read = through_a_file(RegionMask(square(8), square(6), square(4)))
    assert np.array_equal(read.loose, square(6))
    assert np.array_equal(read.tight, square(6))
