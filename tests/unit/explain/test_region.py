"""From a raw map to a region."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from neuroscan.contracts.enums import RegionSource, TumorClass
from neuroscan.imaging.region_mask import RegionMask
from services.explain.evidence import region_mask, upsample
from services.explain.region import (
    ELSEWHERE,
    FAINT,
    NOTHING_SEGMENTED,
    SEGMENTED_ALL_THE_SAME,
    FoundRegions,
    find_region,
    found_region,
    region_of,
)


def test_no_positive_evidence_is_no_region() -> None:
    assert find_region(np.full((8, 8), -1, dtype=np.float32), (64, 64), 0.5) is None
    assert find_region(np.zeros((8, 8), dtype=np.float32), (64, 64), 0.5) is None


def test_only_the_part_around_the_peak_is_kept() -> None:
    raw = np.zeros((16, 16), dtype=np.float32)
    raw[3, 4] = 10
    raw[10:14, 10:14] = 9
    found = find_region(raw, (160, 160), 0.5)
    assert found is not None
    assert found.masks.chosen[35, 45]
    assert not found.masks.chosen[120, 120]
    x0, y0, x1, y1 = found.region.bbox
    assert x0 <= 45 < x1
    assert y0 <= 35 < y1
    assert x1 < 70


def test_of_two_equal_peaks_the_larger_part_is_kept() -> None:
    raw = np.zeros((16, 16), dtype=np.float32)
    raw[2, 2] = 5
    raw[9:13, 9:13] = 5
    mask = region_mask(raw, 0.5)
    assert mask is not None
    assert mask.sum() == 16
    assert mask[10, 10]


def test_the_map_is_stretched_over_a_slice_that_is_not_square() -> None:
    raw = np.zeros((8, 8), dtype=np.float32)
    raw[1, 6] = 1
    found = find_region(raw, (80, 240), 0.5)
    assert found is not None
    assert found.masks.chosen.shape == (80, 240)
    rows, columns = np.nonzero(found.masks.chosen)
    assert rows.mean() == pytest.approx((1.5 * 10) - 0.5, abs=0.6)
    assert columns.mean() == pytest.approx((6.5 * 30) - 0.5, abs=0.6)


def test_upsampling_keeps_the_unit_and_drops_what_speaks_against() -> None:
    raw = np.array([[-3, 2], [2, 2]], dtype=np.float32)
    evidence = upsample(raw, (4, 4))
    assert evidence.min() == 0
    assert evidence.max() == 2
    assert evidence.dtype == np.float32


def test_a_single_pixel_has_a_region() -> None:
    mask = np.zeros((5, 6), dtype=np.bool_)
    mask[2, 3] = True
    region = region_of(mask)
    assert region.bbox == (3, 2, 4, 3)
    assert region.area_px == 1
    assert region.contour == [(3, 2)]


@given(
    hnp.arrays(np.float32, (7, 7), elements=st.floats(-1, 1, width=32)),
    st.floats(0.1, 0.9),
    st.integers(32, 90),
    st.integers(32, 90),
)
def test_bbox_area_and_outline_describe_the_mask(
    raw: NDArray[np.float32], fraction: float, height: int, width: int
) -> None:
    found = find_region(raw, (height, width), fraction)
    if found is None:
        assert raw.max() <= 0
        return
    rows, columns = np.nonzero(found.masks.chosen)
    assert found.region.area_px == len(rows)
    x0, y0, x1, y1 = found.region.bbox
    assert (x0, y0) == (columns.min(), rows.min())
    assert (x1, y1) == (columns.max() + 1, rows.max() + 1)
    evidence = upsample(raw, (height, width))
    assert evidence[found.masks.chosen].max() == evidence.max()
    assert evidence[found.masks.chosen].min() >= np.float32(fraction * float(evidence.max()))
    # Filling the outlines gives the mask back, but for holes.
    filled = np.zeros((height, width), dtype=np.uint8)
    outlines = [np.array(outline, dtype=np.int32) for outline in found.region.contours]
    cv2.drawContours(filled, outlines, -1, 1, thickness=-1)
    assert np.all(filled.astype(bool)[found.masks.chosen])
    assert found.region.contour == found.region.contours[0]


def square(top: int, side: int) -> RegionMask:
    mask = np.zeros((100, 100), np.bool_)
    mask[top : top + side, 20 : 20 + side] = True
    return RegionMask.certain(mask)


def test_the_parameters_are_measured_from_the_segmentation_where_there_is_one() -> None:
    both = FoundRegions(map=found_region(square(10, 20)), segmentation=found_region(square(20, 20)))
    assert both.chosen is both.segmentation
    assert both.source is RegionSource.SEGMENTATION
    assert both.overlap == pytest.approx(0.5)
    alone = FoundRegions(map=both.map, segmentation=None)
    assert (alone.chosen, alone.source) == (both.map, RegionSource.MAP)
    assert alone.overlap is None
    nothing = FoundRegions(map=None, segmentation=None)
    assert (nothing.chosen, nothing.source) == (None, None)


TUMOR, PLAIN = TumorClass.MENINGIOMA, TumorClass.NO_TUMOR


@pytest.mark.parametrize(
    ("map_top", "segmented_top", "label", "expected"),
    [
        (10, 20, TUMOR, None),
        (10, 60, TUMOR, ELSEWHERE),
        (None, 60, TUMOR, None),
        (10, None, TUMOR, NOTHING_SEGMENTED.format(label="meningioma")),
        (10, None, PLAIN, None),
        (10, 10, PLAIN, SEGMENTED_ALL_THE_SAME),
    ],
)
def test_what_does_not_fit_together_is_said(
    map_top: int | None, segmented_top: int | None, label: TumorClass, expected: str | None
) -> None:
    found = FoundRegions(
        *(
            None if top is None else found_region(square(top, 20))
            for top in (map_top, segmented_top)
        )
    )
    assert found.disagreement(label, segmented=True) == expected
    assert found.disagreement(label, segmented=False) is None


def test_a_region_that_only_the_class_makes_believable_is_said_to_be_faint() -> None:
    found = FoundRegions(
        map=found_region(square(10, 20)), segmentation=found_region(square(15, 20), faint=True)
    )
    assert found.disagreement(TUMOR, segmented=True) == FAINT.format(label="meningioma")
    apart = FoundRegions(map=found_region(square(70, 20)), segmentation=found.segmentation)
    assert apart.disagreement(TUMOR, segmented=True) == ELSEWHERE


def test_a_maps_region_has_a_range() -> None:
    raw = np.zeros((16, 16), np.float32)
    raw[8, 8] = 1
    raw = np.asarray(cv2.GaussianBlur(raw, (0, 0), 2), np.float32)
    found = find_region(raw, (160, 160), 0.5)
    assert found is not None
    masks = found.masks
    assert 0 < masks.tight.sum() < masks.chosen.sum() < masks.loose.sum()
    assert not (masks.tight & ~masks.chosen).any()
    assert not (masks.chosen & ~masks.loose).any()
