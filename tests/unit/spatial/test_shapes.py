"""Chords of shapes whose chords are known."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.spatial.dimensions import longest_chord, shape_of
from tests.unit.spatial.heads import Ellipse


@given(
    longest=st.floats(65, 110),
    ratio=st.floats(0.5, 0.95),
    angle=st.floats(0, 180),
    x=st.floats(127, 128),
    y=st.floats(127, 128),
)
@settings(max_examples=60, deadline=None)
def test_an_ellipse_has_its_axes(
    longest: float, ratio: float, angle: float, x: float, y: float
) -> None:
    shape = shape_of(Ellipse(x, y, longest, ratio * longest, angle).mask(), 1.0, 1.0)
    # Two percent, or what rasterizing itself may take from an axis along a row: 1.3 pixels.
    assert shape.longest_mm == pytest.approx(longest, rel=0.02, abs=1.3)
    assert shape.perpendicular_mm == pytest.approx(ratio * longest, rel=0.02, abs=1.3)
    assert shape.third_mm == pytest.approx(
        sqrt(shape.longest_mm * shape.perpendicular_mm), rel=1e-9
    )
    assert shape.area_mm2 == pytest.approx(np.pi / 4 * ratio * longest**2, rel=0.02)


def test_chords_of_ellipses_are_right_on_average() -> None:
    rng = np.random.default_rng(0)
    longest, across = [], []
    for _ in range(60):
        a, ratio, angle = rng.uniform(20, 90), rng.uniform(0.4, 0.9), rng.uniform(0, 180)
        x, y = rng.uniform(127, 128, 2)
        shape = shape_of(Ellipse(x, y, a, ratio * a, angle).mask(), 1.0, 1.0)
        longest.append(shape.longest_mm - a)
        across.append(shape.perpendicular_mm - ratio * a)
    assert abs(np.mean(longest)) < 0.25
    assert abs(np.mean(across)) < 0.25


def test_pixels_that_are_not_square_are_measured_in_millimetres() -> None:
    disk = Ellipse(128, 128, 80, 80).mask()
    shape = shape_of(disk, row_mm=1.0, column_mm=0.5)
    assert shape.longest_mm == pytest.approx(80, rel=0.02)
    assert shape.perpendicular_mm == pytest.approx(40, rel=0.03)


def test_a_chord_stays_inside_a_bent_region() -> None:
    mask = np.zeros((120, 120), bool)
    mask[10:110, 10:30] = True  # an L: its ends see each other through the outside only
    mask[90:110, 10:110] = True
    length, _ = longest_chord(mask)
    assert 100 < length < 115
    assert length < np.hypot(100, 100) * 0.85


def test_the_perpendicular_chord_is_not_the_bounding_box() -> None:
    mask = np.zeros((120, 160), bool)
    mask[40:60, 10:150] = True  # a bar, and a foot as long again further along
    mask[60:80, 10:40] = True
    shape = shape_of(mask, 1.0, 1.0)
    assert shape.perpendicular_mm == pytest.approx(40, abs=5)


def test_a_single_pixel_has_a_size() -> None:
    mask = np.zeros((64, 64), bool)
    mask[20, 30] = True
    shape = shape_of(mask, 1.0, 1.0)
    assert 0 < shape.perpendicular_mm <= shape.longest_mm <= 3


def test_of_two_parts_the_larger_is_measured() -> None:
    mask = Ellipse(60, 60, 50, 40).mask() | Ellipse(200, 200, 20, 20).mask()
    assert shape_of(mask, 1.0, 1.0).longest_mm == pytest.approx(50, rel=0.02)
