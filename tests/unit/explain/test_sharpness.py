"""The sharpness measure, as its definition says."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from services.explain.sharpness import sharpness

MAPS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    elements=st.floats(-100, 100, width=32),
)


@pytest.mark.parametrize("shape", [(4, 4), (7, 7), (8, 8), (10, 10), (16, 16)])
def test_a_flat_map_has_none_and_a_single_hot_tenth_has_all(shape: tuple[int, int]) -> None:
    assert sharpness(np.full(shape, 0.3, dtype=np.float32)) == pytest.approx(0, abs=1e-9)
    point = np.full(shape, -1, dtype=np.float32)
    point[0, 0] = 5
    assert sharpness(point) == pytest.approx(1)


def test_no_positive_evidence_has_no_sharpness() -> None:
    assert sharpness(np.zeros((8, 8), dtype=np.float32)) is None
    assert sharpness(np.full((8, 8), -2, dtype=np.float32)) is None


def test_mass_spread_over_two_tenths_is_half_in_the_hottest() -> None:
    raw = np.zeros((10, 10), dtype=np.float32)
    raw[:2] = 1
    assert sharpness(raw) == pytest.approx((0.5 - 0.1) / 0.9)


def test_a_part_of_a_cell_counts_in_part() -> None:
    # A tenth of 16 cells is 1.6 cells: all of the hottest and 0.6 of the next.
    raw = np.zeros((4, 4), dtype=np.float32)
    raw[0] = [4, 3, 2, 1]
    assert sharpness(raw) == pytest.approx(((4 + 0.6 * 3) / 10 - 0.1) / 0.9)


@given(MAPS, st.floats(0.01, 1000), st.randoms(use_true_random=False))
def test_neither_scale_nor_place_nor_negative_values_matter(
    raw: NDArray[np.float32], factor: float, random: object
) -> None:
    found = sharpness(raw)
    assume(found is not None)
    assume(raw.max() > 1e-3)
    assert found is not None
    assert 0 <= found <= 1
    assert sharpness(raw * np.float32(factor)) == pytest.approx(found, abs=1e-4)
    assert sharpness(raw[::-1, ::-1]) == pytest.approx(found)
    assert sharpness(np.maximum(raw, 0)) == pytest.approx(found)


@given(MAPS)
def test_squaring_never_makes_a_map_flatter(raw: NDArray[np.float32]) -> None:
    positive = np.maximum(raw, 0)
    assume(positive.max() > 1e-3)
    before, after = sharpness(positive), sharpness(positive**2)
    assert before is not None
    assert after is not None
    assert after >= before - 1e-6
