"""Head, brain, midline, plane, and what the geometry is completed with."""

import cv2
import numpy as np
import pytest

from neuroscan.contracts.enums import (
    DisplayConvention,
    OrientationSource,
    PatientAxis,
    Plane,
    SpacingSource,
)
from neuroscan.contracts.geometry import Geometry, as_sent, declared_orientation
from neuroscan.imaging.region_mask import RegionMask
from services.spatial.brain import brain_mask, head_size
from services.spatial.head import WORK_SIDE_PX, head_mask, mask_on_raster, working_raster
from services.spatial.plane import PlaneFinding
from services.spatial.scene import survey
from services.spatial.spacing import completed_geometry, orientation_in, scale_of, trusted_plane
from services.spatial.symmetry import find_midline
from tests.unit.spatial.heads import Ellipse, axial_head, declared, geometry

HEAD = axial_head()
TRUE_HEAD = Ellipse(127.5, 127.5, 184, 150, 90).mask()
TRUE_BRAIN = Ellipse(127.5, 127.5, 158, 124, 90).mask()


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.parametrize("background", [0, 40])
def test_head_and_brain_are_found(background: int) -> None:
    pixels = np.maximum(HEAD, background).astype(np.uint8)
    head = head_mask(pixels)
    assert head is not None
    assert dice(head, TRUE_HEAD) > 0.97
    assert dice(brain_mask(pixels, head, 150.0), TRUE_BRAIN) > 0.95


def test_an_empty_picture_has_no_head() -> None:
    assert head_mask(np.zeros((256, 256), np.uint8)) is None


@pytest.mark.parametrize("angle", [-20, -7, 0, 4, 15])
@pytest.mark.parametrize("moved", [-15, 0, 10])
def test_the_midline_of_a_symmetric_head_is_found(angle: float, moved: float) -> None:
    turn = cv2.getRotationMatrix2D((127.5, 127.5), angle, 1.0)
    turn[0, 2] += moved
    pixels = np.asarray(cv2.warpAffine(HEAD, turn, (256, 256)), np.uint8)
    head = head_mask(pixels)
    assert head is not None
    line = find_midline(pixels, head)
    assert line is not None
    assert line.confidence > 0.9
    # Turning the picture counterclockwise leans the head's lower end to the right.
    assert line.tilt_deg == pytest.approx(-angle, abs=1.0)
    assert abs(float(line.offset(np.array(127.5 + moved), np.array(127.5)))) < 1.5


def test_noise_has_no_midline_to_rely_on() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256)).astype(np.uint8)
    scene = survey(pixels, None, geometry())
    assert scene.midline is None
    assert scene.no_midline_reason


def test_mirroring_about_the_midline_is_its_own_inverse() -> None:
    line = survey(HEAD, None, geometry()).midline
    assert line is not None
    matrix = np.vstack([line.reflection(), [0, 0, 1]])
    assert matrix @ matrix == pytest.approx(np.eye(3), abs=1e-9)
    mirrored = np.asarray(line.mirror(HEAD)).astype(float)
    inside = TRUE_BRAIN
    assert np.corrcoef(mirrored[inside], HEAD[inside])[0, 1] > 0.8


def test_spacing_comes_from_the_heads_breadth() -> None:
    scene = survey(HEAD, None, geometry(spacing_mm=None))
    assert scene.geometry.source is SpacingSource.HEAD_SIZE
    # Drawn 150 pixels broad, and a head is taken to be 150 mm broad.
    assert scene.geometry.row_mm == pytest.approx(1.0, rel=0.03)
    assert scene.geometry.column_mm == pytest.approx(1.0, rel=0.03)
    assert scene.scale.error == pytest.approx(8 / 150)


@pytest.mark.parametrize(("plane", "usual"), [(Plane.CORONAL, 150), (Plane.SAGITTAL, 190)])
def test_other_planes_have_their_own_head_size(plane: Plane, usual: float) -> None:
    scene = survey(HEAD, None, geometry(spacing_mm=None, plane=plane, right=None))
    assert scene.anatomy is not None
    assert scene.work_mm == pytest.approx(usual / scene.anatomy.size.size_px)


def test_stated_spacing_is_never_changed() -> None:
    scene = survey(HEAD, None, geometry(spacing_mm=0.49))
    assert scene.geometry == geometry(spacing_mm=0.49)
    assert scene.scale.error == 0


def test_a_head_cut_on_both_sides_gives_no_spacing() -> None:
    cut = np.ascontiguousarray(HEAD[:, 70:186])
    scene = survey(cut, None, geometry(spacing_mm=None))
    assert scene.geometry.source is SpacingSource.UNKNOWN
    assert scene.geometry.row_mm is None
    assert "border" in (scene.scale.reason or "")


def test_an_uncertain_plane_gives_no_spacing_but_is_told() -> None:
    raster = working_raster(HEAD)
    head = head_mask(raster.pixels)
    assert head is not None
    unsure = PlaneFinding(Plane.CORONAL, 0.55, 0.5, 0.0)
    plane = trusted_plane(Geometry(), unsure)
    assert plane is None
    scale = scale_of(Geometry(), plane, head_size(head, plane), raster)
    assert scale.row_mm is None
    told = completed_geometry(Geometry(), unsure, plane, scale)
    assert (told.plane, told.plane_confidence) == (Plane.CORONAL, 0.55)


@pytest.mark.parametrize(("confidence", "trusted"), [(None, True), (0.81, True), (0.72, False)])
def test_a_stated_plane_that_the_slice_is_far_from_is_not_measured_by(
    confidence: float | None, trusted: bool
) -> None:
    sure = PlaneFinding(Plane.AXIAL, 0.99, 0.9, 0.0)
    oblique = Geometry(plane=Plane.CORONAL, plane_confidence=confidence)
    assert trusted_plane(oblique, sure) is (Plane.CORONAL if trusted else None)


@pytest.mark.parametrize("convention", [DisplayConvention.RADIOLOGICAL, DisplayConvention.UNKNOWN])
@pytest.mark.parametrize("plane", list(Plane))
def test_a_declared_orientation_is_applied_to_the_found_plane(
    convention: DisplayConvention, plane: Plane
) -> None:
    assert orientation_in(declared_orientation(convention, None), plane) == declared_orientation(
        convention, plane
    )


def test_an_orientation_from_dicom_is_left_alone() -> None:
    stated = geometry(right=PatientAxis.RIGHT).orientation
    assert stated.source is OrientationSource.DICOM
    assert orientation_in(stated, Plane.SAGITTAL) == stated


def test_a_picture_upside_down_is_turned_before_it_is_read() -> None:
    upside_down = geometry().model_copy(
        update={
            "orientation": geometry().orientation.model_copy(
                update={"image_bottom": PatientAxis.ANTERIOR}
            )
        }
    )
    mask = Ellipse(160, 80, 20, 16).mask()
    scene = survey(np.ascontiguousarray(HEAD[::-1]), RegionMask.certain(mask[::-1]), upside_down)
    assert scene.lesion is not None
    assert scene.lesion.center == pytest.approx((160, 80), abs=0.5)
    assert np.array_equal(scene.pixels, HEAD)


def test_a_small_region_survives_on_the_working_raster() -> None:
    large = np.zeros((2048, 2048), np.uint8)
    raster = working_raster(large)
    assert max(raster.pixels.shape) == WORK_SIDE_PX
    mask = np.zeros((2048, 2048), bool)
    mask[1000, 1000] = True
    assert mask_on_raster(mask, raster).sum() == 1


@pytest.mark.parametrize(
    "sent",
    [
        geometry(),
        geometry(spacing_mm=None),
        geometry(plane=None, right=None),
        declared(DisplayConvention.RADIOLOGICAL),
        declared(DisplayConvention.NEUROLOGICAL).model_copy(
            update={"row_mm": 0.9, "column_mm": 0.9, "source": SpacingSource.REQUEST}
        ),
        Geometry(),
    ],
)
def test_what_was_sent_can_be_told_from_what_was_inferred(sent: Geometry) -> None:
    completed = survey(HEAD, None, sent).geometry
    assert completed.plane is not None
    assert completed.row_mm is not None
    assert as_sent(completed) == sent
