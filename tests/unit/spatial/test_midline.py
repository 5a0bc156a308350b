"""Midline shift on drawn heads whose septum is pushed aside."""

import numpy as np
import pytest

from neuroscan.contracts.enums import PatientAxis, Plane, Standing
from services.spatial.midline import CATEGORIES, _category
from services.spatial.midline_curve import bulge_of_free_curve, free_curve
from tests.unit.spatial.heads import Ellipse, axial_head, geometry, measured, with_lesion


@pytest.mark.parametrize("shift", [0.0, 3.0, 6.0, 9.0, -4.0, -11.0])
def test_the_shift_is_found(shift: float) -> None:
    found = measured(axial_head(shift_px=shift), None).spatial.midline_shift
    assert found.status is Standing.ESTIMATED
    assert found.value == pytest.approx(abs(shift), abs=1.5)
    assert found.range is not None
    assert found.value is not None
    assert found.range[0] <= found.value <= found.range[1]


@pytest.mark.parametrize(("shift", "side"), [(6.0, "right"), (-6.0, "left")])
def test_the_shift_has_a_direction(shift: float, side: str) -> None:
    found = measured(axial_head(shift_px=shift), None).spatial.midline_shift
    assert any(f"towards the {side}" in text for text in found.assumptions)


def test_a_lesion_beside_the_midline_does_not_pull_it() -> None:
    mask = Ellipse(160, 120, 40, 30).mask()
    plain = measured(axial_head(), None).spatial.midline_shift.value
    beside = measured(with_lesion(axial_head(), mask, 230), mask).spatial.midline_shift.value
    assert plain is not None
    assert beside == pytest.approx(plain, abs=1.0)


@pytest.mark.parametrize(
    ("shift_mm", "category"),
    [
        (0.0, "None"),
        (1.9, "None"),
        (2.0, "Mild"),
        (4.9, "Mild"),
        (5.0, "Moderate"),
        (10.0, "Moderate"),
        (10.1, "Severe"),
    ],
)
def test_the_categories_have_their_cut_offs(shift_mm: float, category: str) -> None:
    assert CATEGORIES[_category(shift_mm)] == category


@pytest.mark.parametrize("plane", [Plane.CORONAL, Plane.SAGITTAL])
def test_other_planes_show_no_shift(plane: Plane) -> None:
    right = PatientAxis.POSTERIOR if plane is Plane.SAGITTAL else PatientAxis.LEFT
    found = measured(axial_head(), None, geometry(plane=plane, right=right)).spatial.midline_shift
    assert found.status is Standing.NOT_ASSESSABLE
    assert "axial" in (found.reason or "")


def test_a_brain_without_structure_shows_no_shift() -> None:
    rows, columns = np.indices((256, 256))
    inside = ((columns - 127.5) / 75) ** 2 + ((rows - 127.5) / 92) ** 2 <= 1
    noise = np.random.default_rng(0).normal(100, 25, (256, 256))
    pixels = np.where(inside, np.clip(noise, 0, 255), 0).astype(np.uint8)
    found = measured(pixels, None).spatial.midline_shift
    assert found.status is Standing.NOT_ASSESSABLE


@pytest.mark.parametrize("height", [0.0, 4.0, -9.0])
def test_a_free_curve_gives_the_height_of_the_bulge(height: float) -> None:
    """Tissue that mirrors only about a known curve, which the fitted one misses by some steps."""
    rows, steps = 120, 30
    along = np.linspace(0, 1, rows)
    bulge = 0.5 * (1 - np.cos(2 * np.pi * along))
    true = 2 * along + height * bulge
    places = np.arange(-steps, steps + 1)
    product = np.exp(-0.5 * ((places[None, :] - true[:, None]) / 2) ** 2)
    fitted = np.linspace(0, 2, rows) + (height + 1.5) * bulge
    curve = free_curve(product, np.ones_like(product), fitted)
    assert np.abs(curve - true).max() < 1.2
    found = bulge_of_free_curve(product, np.ones_like(product), fitted, bulge)
    assert found == pytest.approx(height, abs=0.4)
