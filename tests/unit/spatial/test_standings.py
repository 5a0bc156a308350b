"""What each parameter may claim, and what it must decline (docs/architecture.md, decision 7)."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroscan.contracts.enums import (
    DisplayConvention,
    Laterality,
    PatientAxis,
    Plane,
    RegionSource,
    SpacingSource,
    Standing,
    TumorClass,
)
from neuroscan.contracts.geometry import Geometry, Orientation, declared_orientation
from neuroscan.contracts.spatial import MeasureResult, Parameter, SpatialParameters
from neuroscan.imaging.region_mask import RegionMask
from services.spatial.dimensions import shape_of
from services.spatial.doubt import with_doubt
from services.spatial.standing import about_region
from tests.unit.spatial.heads import Ellipse, axial_head, geometry, measured, with_lesion

LESION_BASED = (
    "anatomical_region",
    "hemisphere",
    "spatial_relation",
    "tumor_volume",
    "maximum_dimensions",
    "texture",
    "edema_volume",
    "relative_cerebral_blood_volume",
)
MASK = Ellipse(160, 120, 30, 20, 20).mask()
PIXELS = with_lesion(axial_head(), MASK)


def parameter(result: MeasureResult, name: str) -> Parameter[Any, Any]:
    found: Parameter[Any, Any] = getattr(result.spatial, name)
    return found


@pytest.mark.parametrize("mask", [None, np.zeros_like(MASK)], ids=["none", "empty"])
@pytest.mark.parametrize("name", LESION_BASED)
def test_without_a_region_nothing_is_said_of_a_lesion(mask: Any, name: str) -> None:
    found = parameter(measured(PIXELS, mask), name)
    assert found.status is Standing.NOT_ASSESSABLE
    assert found.value is None
    assert "no positive evidence" in (found.reason or "")


@pytest.mark.parametrize("name", LESION_BASED)
def test_a_slice_without_tumor_has_no_lesion_to_measure(name: str) -> None:
    found = parameter(measured(PIXELS, MASK, label=TumorClass.NO_TUMOR), name)
    assert found.status is Standing.NOT_ASSESSABLE
    assert "no tumor" in (found.reason or "")


def test_a_slice_without_tumor_still_has_a_midline() -> None:
    shift = measured(axial_head(), None, label=TumorClass.NO_TUMOR).spatial.midline_shift
    assert shift.status is Standing.ESTIMATED
    assert shift.category == "None"


def test_of_a_refused_input_nothing_is_told() -> None:
    result = measured(PIXELS, MASK, input_accepted=False)
    for name in SpatialParameters.model_fields:
        found = parameter(result, name)
        assert found.status is Standing.NOT_ASSESSABLE, name
        assert "turned the picture away" in (found.reason or ""), name
    assert result.geometry == geometry()


@pytest.mark.parametrize(
    ("calibrated", "standing"), [(True, Standing.MEASURED), (False, Standing.ESTIMATED)]
)
def test_confidence_is_measured_only_when_calibrated(calibrated: bool, standing: Standing) -> None:
    found = measured(PIXELS, MASK, calibrated=calibrated).spatial.confidence
    assert (found.value, found.status, found.category) == (0.9, standing, None)


def test_nothing_from_a_region_is_better_than_estimated() -> None:
    result = measured(PIXELS, MASK)
    for name in (*LESION_BASED, "midline_shift"):
        assert parameter(result, name).status is not Standing.MEASURED, name


@pytest.mark.parametrize(
    ("source", "dice", "words"),
    [
        (RegionSource.MAP, None, "heat map covers; it is no outline"),
        (RegionSource.SEGMENTATION, 0.876, "median Dice coefficient with annotated tumors 0.88"),
        (RegionSource.SEGMENTATION, None, "drawn by a segmentation network; it may miss"),
    ],
)
def test_every_value_from_a_region_says_what_the_region_is(
    source: RegionSource, dice: float | None, words: str
) -> None:
    result = measured(PIXELS, MASK, about=about_region(source, dice))
    for name in LESION_BASED:
        assert any(words in text for text in parameter(result, name).assumptions), name


def doubted(result: MeasureResult, sentence: str) -> set[str]:
    """The names of the parameters that have this assumption."""
    names = SpatialParameters.model_fields
    return {name for name in names if sentence in parameter(result, name).assumptions}


def test_values_that_rest_on_an_uncertain_class_say_so() -> None:
    by_class = {"anatomical_region", "spatial_relation"}
    possible = (TumorClass.MENINGIOMA, TumorClass.GLIOMA)
    found = measured(PIXELS, MASK, label=TumorClass.MENINGIOMA)
    result = with_doubt(found, TumorClass.MENINGIOMA, possible)
    doubt = "The class is not certain (meningioma or glioma); this value takes it as meningioma."
    assert doubted(result, doubt) == by_class
    # Only a glioma is measured as RANO does it.
    result = with_doubt(measured(PIXELS, MASK), TumorClass.GLIOMA, possible[::-1])
    doubt = "The class is not certain (glioma or meningioma); this value takes it as glioma."
    assert doubted(result, doubt) == {*by_class, "maximum_dimensions"}


def test_where_there_may_be_no_tumor_every_value_of_the_lesion_says_so() -> None:
    possible = (TumorClass.GLIOMA, TumorClass.PITUITARY, TumorClass.NO_TUMOR)
    # With nothing known of the sides, the hemisphere is not assessable.
    result = with_doubt(measured(PIXELS, MASK, Geometry()), TumorClass.GLIOMA, possible)
    doubt = (
        "The class is not certain (glioma, pituitary or no tumor); this value takes it as glioma."
    )
    told = doubted(result, doubt)
    assert told == {
        name
        for name in LESION_BASED
        if parameter(result, name).status is not Standing.NOT_ASSESSABLE
    }
    assert "tumor_volume" in told
    assert "hemisphere" not in told


@pytest.mark.parametrize("possible", [(), (TumorClass.GLIOMA,)])
def test_a_certain_class_is_no_assumption(possible: tuple[TumorClass, ...]) -> None:
    found = measured(PIXELS, MASK)
    assert with_doubt(found, TumorClass.GLIOMA, possible) == found


def test_ranges_follow_the_regions_own_range() -> None:
    tight, loose = Ellipse(160, 120, 22, 14, 20).mask(), Ellipse(160, 120, 38, 27, 20).mask()
    certain, ranged = measured(PIXELS, MASK), measured(PIXELS, RegionMask(loose, MASK, tight))
    assert ranged.spatial.maximum_dimensions.value == certain.spatial.maximum_dimensions.value
    wide = ranged.spatial.maximum_dimensions.range
    narrow = certain.spatial.maximum_dimensions.range
    assert wide is not None
    assert narrow is not None
    for (low, high), (inner_low, inner_high) in zip(wide, narrow, strict=True):
        assert low < inner_low < inner_high < high
    # The spacing is 0.5 mm and known: the ends are the ellipses' own axes, half a pixel off.
    assert wide[0] == pytest.approx((22 - 0.5, 38 + 0.5), rel=0.06)
    for name in ("tumor_volume", "edema_volume", "relative_cerebral_blood_volume"):
        outer, inner = parameter(ranged, name).range, parameter(certain, name).range
        assert outer is not None
        assert inner is not None
        assert outer[0] <= inner[0] <= inner[1] <= outer[1], name
    volume = ranged.spatial.tumor_volume.range
    assert volume is not None
    assert volume[0] < 0.6 * volume[1]


def test_a_region_that_may_be_nothing_has_no_lower_bound() -> None:
    found = measured(PIXELS, RegionMask(MASK, MASK, np.zeros_like(MASK))).spatial
    assert found.tumor_volume.range is not None
    assert found.tumor_volume.range[0] == 0
    assert found.maximum_dimensions.range is not None
    assert [low for low, _ in found.maximum_dimensions.range][:2] == [0, 0]


@pytest.mark.parametrize("name", ["edema_volume", "relative_cerebral_blood_volume"])
def test_edema_and_blood_volume_are_surrogates(name: str) -> None:
    found = parameter(measured(PIXELS, MASK), name)
    assert found.status is Standing.SURROGATE
    assert found.value is None
    assert found.surrogate is not None
    assert "cm³" not in found.surrogate.unit


@pytest.mark.parametrize("name", ["edema_volume", "relative_cerebral_blood_volume"])
def test_without_a_midline_there_are_no_surrogates(name: str) -> None:
    result = measured(PIXELS, MASK, geometry(plane=Plane.SAGITTAL, right=PatientAxis.POSTERIOR))
    assert parameter(result, name).status is Standing.NOT_ASSESSABLE


def test_the_blood_surrogate_is_the_ratio_to_the_mirrored_place() -> None:
    flat = axial_head()
    flat[MASK] = 200
    surrogate = measured(flat, MASK).spatial.relative_cerebral_blood_volume.surrogate
    there = np.median(axial_head()[MASK[:, ::-1]])
    assert surrogate is not None
    assert surrogate.value == pytest.approx(200 / there, rel=0.05)


def test_a_dark_ring_around_the_lesion_is_counted() -> None:
    ring = Ellipse(160, 120, 50, 40, 20).mask() & ~MASK
    swollen = PIXELS.copy()
    swollen[ring] = (swollen[ring] * 0.7).astype(np.uint8)
    without = measured(PIXELS, MASK).spatial.edema_volume.surrogate
    found = measured(swollen, MASK).spatial.edema_volume.surrogate
    assert without is not None
    assert found is not None
    assert without.value < 0.15 * ring.sum()
    assert found.value == pytest.approx(float(ring.sum()), rel=0.2)


def test_volume_lies_in_its_range_and_follows_from_the_axes() -> None:
    spatial = measured(PIXELS, MASK).spatial
    assert spatial.maximum_dimensions.value
    assert spatial.tumor_volume.range
    a, b, c = spatial.maximum_dimensions.value
    factor = math.pi / 6 / 1000
    assert spatial.tumor_volume.value == pytest.approx(factor * a * b * c)
    assert c == pytest.approx(math.sqrt(a * b))
    low, high = spatial.tumor_volume.range
    assert low <= factor * a * b * b <= factor * a * b * a <= high
    assert spatial.tumor_volume.unit == "cm³"


@pytest.mark.parametrize(
    ("label", "plane", "named"),
    [
        (TumorClass.GLIOMA, Plane.AXIAL, True),
        (TumorClass.GLIOMA, Plane.CORONAL, False),
        (TumorClass.MENINGIOMA, Plane.AXIAL, False),
    ],
)
def test_rano_is_named_for_gliomas_on_axial_slices_only(
    label: TumorClass, plane: Plane, named: bool
) -> None:
    found = measured(PIXELS, MASK, geometry(plane=plane), label=label).spatial
    assert ("RANO" in found.maximum_dimensions.method) is named


@pytest.mark.parametrize(
    ("right", "side"), [(PatientAxis.LEFT, Laterality.LEFT), (PatientAxis.RIGHT, Laterality.RIGHT)]
)
def test_the_side_follows_the_orientation(right: PatientAxis, side: Laterality) -> None:
    spatial = measured(PIXELS, MASK, geometry(right=right)).spatial
    assert spatial.hemisphere.value is side
    assert spatial.hemisphere.image_side is Laterality.RIGHT
    assert spatial.anatomical_region.value is not None
    assert spatial.anatomical_region.value.name.startswith(side.value.capitalize())


def test_without_orientation_only_the_side_of_the_picture_is_told() -> None:
    spatial = measured(PIXELS, MASK, geometry(right=None)).spatial
    assert spatial.hemisphere.status is Standing.NOT_ASSESSABLE
    assert spatial.hemisphere.image_side is Laterality.RIGHT
    assert spatial.hemisphere.value is None
    assert "orientation" in (spatial.hemisphere.reason or "")
    assert spatial.anatomical_region.value is not None
    assert not spatial.anatomical_region.value.name.startswith(("Left", "Right"))


def test_a_lesion_at_the_midline_crosses() -> None:
    mask = Ellipse(133, 120, 24, 16).mask()
    hemisphere = measured(with_lesion(axial_head(), mask), mask).spatial.hemisphere
    assert hemisphere.value is Laterality.CROSSES
    assert hemisphere.image_side is Laterality.CROSSES


@pytest.mark.parametrize(("offset_px", "lateral"), [(8.5, False), (11.5, True)])
def test_lateralized_means_more_than_ten_millimetres(offset_px: float, lateral: bool) -> None:
    mask = Ellipse(127.5 + offset_px, 150, 14, 12).mask()
    hemisphere = measured(with_lesion(axial_head(), mask), mask).spatial.hemisphere
    assert (hemisphere.value is not Laterality.CROSSES) is lateral


def test_a_sagittal_slice_has_no_patient_side_and_no_shift() -> None:
    spatial = measured(
        PIXELS, MASK, geometry(plane=Plane.SAGITTAL, right=PatientAxis.POSTERIOR)
    ).spatial
    assert spatial.hemisphere.status is Standing.NOT_ASSESSABLE
    assert spatial.hemisphere.image_side is not None
    assert spatial.midline_shift.status is Standing.NOT_ASSESSABLE
    assert spatial.spatial_relation.value is not None
    assert spatial.spatial_relation.value.to_midline_mm is None


def test_the_class_and_the_surface_make_a_lesion_extra_axial() -> None:
    def axis(label: TumorClass) -> str:
        value = measured(PIXELS, MASK, label=label).spatial.spatial_relation.value
        assert value is not None
        return value.axis

    assert axis(TumorClass.GLIOMA) == "intra"
    assert axis(TumorClass.MENINGIOMA) == "extra"
    assert axis(TumorClass.PITUITARY) == "extra"


def test_depth_is_the_distance_to_the_edge_of_the_brain() -> None:
    near, far = Ellipse(180, 127, 14, 12).mask(), Ellipse(152, 127, 14, 12).mask()
    shallow = measured(with_lesion(axial_head(), near), near).spatial.spatial_relation.value
    deep = measured(with_lesion(axial_head(), far), far).spatial.spatial_relation.value
    assert shallow
    assert deep
    assert (shallow.depth, deep.depth) == ("superficial", "deep")
    # The brain's edge is at 127.5 + 62; the lesions end at 187 and 159.
    assert shallow.to_edge_mm == pytest.approx(2.5, abs=2.5)
    assert deep.to_edge_mm == pytest.approx(30.5, abs=3)
    assert deep.to_midline_mm == pytest.approx(24.5, abs=1)


def unusual_pictures() -> Iterator[Any]:
    rng = np.random.default_rng(0)
    for shape in ((16, 16), (1, 1), (40, 700), (700, 40), (256, 256)):
        yield np.zeros(shape, np.uint8)
        yield np.full(shape, 255, np.uint8)
        yield rng.integers(0, 256, shape).astype(np.uint8)
        spot = np.zeros(shape, np.uint8)
        spot[shape[0] // 2, shape[1] // 2] = 255
        yield spot


@pytest.mark.parametrize("plane", [None, *Plane])
@pytest.mark.parametrize("spacing_mm", [None, 0.5])
def test_no_picture_brings_nan_or_an_error(plane: Plane | None, spacing_mm: float | None) -> None:
    for pixels in unusual_pictures():
        for mask in (None, np.ones(pixels.shape, bool), pixels > 250):
            result = measured(pixels, mask, geometry(spacing_mm=spacing_mm, plane=plane))
            text = result.model_dump_json()
            assert "NaN" not in text
            assert "Infinity" not in text


@given(
    x=st.floats(10, 245), y=st.floats(10, 245), longest=st.floats(1, 120), ratio=st.floats(0.1, 1)
)
@settings(max_examples=25, deadline=None)
def test_any_region_has_dimensions_inside_their_ranges(
    x: float, y: float, longest: float, ratio: float
) -> None:
    mask = Ellipse(x, y, longest, ratio * longest, 30).mask()
    mask[int(y), int(x)] = True
    found = measured(PIXELS, mask).spatial.maximum_dimensions
    assert found.value is not None
    assert found.range is not None
    for value, (low, high) in zip(found.value, found.range, strict=True):
        assert 0 <= low <= value <= high
    assert found.value[0] == shape_of(mask, 1.0, 1.0).longest_mm


@pytest.mark.parametrize(
    ("pixels", "mask"),
    [
        (PIXELS.astype(np.float32), MASK),
        (PIXELS, MASK[:-1]),
        (PIXELS, MASK.astype(np.uint8)),
        (np.stack([PIXELS] * 3, axis=2), None),
    ],
)
def test_arrays_that_do_not_fit_are_refused(pixels: Any, mask: Any) -> None:
    with pytest.raises(ValueError, match="must be"):
        measured(pixels, mask)


def test_an_unknown_plane_leaves_lengths_unsaid() -> None:
    result = measured(np.zeros_like(PIXELS), MASK, Geometry())
    assert result.geometry.source is SpacingSource.UNKNOWN
    assert result.spatial.maximum_dimensions.status is Standing.NOT_ASSESSABLE
    assert "spacing is unknown" in (result.spatial.maximum_dimensions.reason or "")
    assert result.spatial.hemisphere.image_side is Laterality.RIGHT


def test_a_declared_convention_is_named_as_an_assumption() -> None:
    where = Geometry(
        row_mm=1.0,
        column_mm=1.0,
        source=SpacingSource.REQUEST,
        plane=Plane.AXIAL,
        orientation=_declared(DisplayConvention.RADIOLOGICAL),
    )
    hemisphere = measured(PIXELS, MASK, where).spatial.hemisphere
    assert hemisphere.value is Laterality.LEFT
    assert any("convention" in text for text in hemisphere.assumptions)


def _declared(convention: DisplayConvention) -> Orientation:
    return declared_orientation(convention, Plane.AXIAL)
