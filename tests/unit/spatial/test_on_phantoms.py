"""Every parameter that a phantom knows, from the phantom's own mask.

The template's head is real, its skull drawn; lesion, side, size and shift are the phantom's truth.
"""

from functools import cache

import pytest

from neuroscan.contracts.enums import (
    DisplayConvention,
    Laterality,
    Plane,
    SpacingSource,
    Standing,
    TumorClass,
)
from neuroscan.contracts.geometry import Geometry, declared_orientation
from neuroscan.contracts.spatial import MeasureResult
from neuroscan.phantoms import (
    Appearance,
    LesionSpec,
    Lobe,
    Phantom,
    PhantomSpec,
    Sequence,
    Side,
    make_phantom,
)
from services.spatial.measure import measure

SHIFT_WITHIN_MM = 1.0
SIZES = ((18.0, 14.0), (26.0, 20.0))


def spec(side: Side, lobe: Lobe, number: int, shift_mm: float = 0.0) -> PhantomSpec:
    longest, perpendicular = SIZES[number % 2]
    level = 20.0 if shift_mm else None
    x, y, _ = lobe.site_mm
    return PhantomSpec(
        name=f"{side}-{lobe}-{number}",
        seed=100 + number,
        lesion=LesionSpec(
            side=side,
            lobe=lobe,
            longest_mm=longest,
            perpendicular_mm=perpendicular,
            angle_deg=20.0 + 25 * number,
            appearance=list(Appearance)[number % 3],
            center_mm=(side.sign * x, y, level) if level else None,
        ),
        level_mm=level,
        midline_shift_mm=shift_mm,
        sequence=list(Sequence)[number % 2],
        rotation_deg=(-10.0, 0.0, 7.0)[number % 3],
    )


@cache
def phantom(side: Side, lobe: Lobe, number: int, shift_mm: float = 0.0) -> Phantom:
    return make_phantom(spec(side, lobe, number, shift_mm))


def measured(made: Phantom, *, stated: bool = True) -> MeasureResult:
    """Measure as for a JPEG with a declared display convention, spacing stated or not."""
    spacing_mm = made.truth.pixel_spacing_mm if stated else None
    return measure(
        made.pixels,
        made.lesion_mask if made.truth.lesion else None,
        Geometry(
            row_mm=spacing_mm,
            column_mm=spacing_mm,
            source=SpacingSource.REQUEST if stated else SpacingSource.UNKNOWN,
            orientation=declared_orientation(DisplayConvention.RADIOLOGICAL, None),
        ),
        label=TumorClass.GLIOMA,
        confidence=0.9,
        calibrated=True,
        input_accepted=True,
    )


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("lobe", list(Lobe))
@pytest.mark.parametrize("side", list(Side))
def test_side_place_and_size_are_the_phantoms(side: Side, lobe: Lobe, number: int) -> None:
    made = phantom(side, lobe, number)
    result = measured(made)
    assert made.truth.lesion is not None
    assert result.geometry.plane is Plane.AXIAL
    assert result.spatial.hemisphere.value == Laterality(side.value)
    place = result.spatial.anatomical_region.value
    assert place is not None
    assert place.name == f"{side.value.capitalize()} {lobe.value.capitalize()} Lobe"
    dimensions = result.spatial.maximum_dimensions.value
    assert dimensions is not None
    assert dimensions[0] == pytest.approx(made.truth.lesion.longest_mm, rel=0.1)
    assert dimensions[1] == pytest.approx(made.truth.lesion.perpendicular_mm, rel=0.1)


@pytest.mark.parametrize("shift_mm", [0.0, 2.0, 4.0, 6.0, 8.0, 10.0])
@pytest.mark.parametrize(("side", "lobe"), [(Side.LEFT, Lobe.FRONTAL), (Side.RIGHT, Lobe.PARIETAL)])
def test_the_midline_shift_is_the_phantoms(side: Side, lobe: Lobe, shift_mm: float) -> None:
    result = measured(phantom(side, lobe, 0, shift_mm))
    found = result.spatial.midline_shift
    assert found.status is Standing.ESTIMATED
    assert found.value == pytest.approx(shift_mm, abs=SHIFT_WITHIN_MM)


def test_a_healthy_phantom_has_no_shift() -> None:
    made = make_phantom(PhantomSpec(name="healthy", seed=5))
    found = measured(made).spatial
    assert found.midline_shift.category == "None"
    assert found.tumor_volume.status is Standing.NOT_ASSESSABLE


@pytest.mark.parametrize("side", list(Side))
def test_the_heads_size_stands_in_for_the_spacing(side: Side) -> None:
    made = phantom(side, Lobe.FRONTAL, 0)
    result = measured(made, stated=False)
    assert result.geometry.source is SpacingSource.HEAD_SIZE
    assert result.geometry.row_mm == pytest.approx(made.truth.pixel_spacing_mm, rel=0.12)
    dimensions = result.spatial.maximum_dimensions
    assert dimensions.status is Standing.ESTIMATED
    assert any("head's size" in text for text in dimensions.assumptions)
