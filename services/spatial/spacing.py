"""Completing the geometry: plane by the classifier, spacing by the head's size, orientation.

A head is taken to be 150 ± 8 mm broad on axial and coronal slices and
190 ± 10 mm long on sagittal ones.
"""

from dataclasses import dataclass

from neuroscan.contracts.enums import (
    DisplayConvention,
    OrientationSource,
    PatientAxis,
    Plane,
    SpacingSource,
)
from neuroscan.contracts.geometry import Geometry, Orientation, declared_orientation
from services.spatial.brain import HeadSize
from services.spatial.head import Raster
from services.spatial.plane import TRUSTED_FROM, PlaneFinding

_HEAD_MM = {Plane.AXIAL: (150.0, 8.0), Plane.CORONAL: (150.0, 8.0), Plane.SAGITTAL: (190.0, 10.0)}
_FROM_HEAD = (
    "Pixel spacing is estimated from the head's size: 150 ± 8 mm broad, or 190 ± 10 mm long on "
    "sagittal slices. Slices near the vertex come out too large."
)


@dataclass(frozen=True)
class Scale:
    """Millimetres a pixel of the slice, and the relative error that comes with their source.

    `reason` says why there is no spacing, where there is none.
    """

    row_mm: float | None
    column_mm: float | None
    error: float
    source: SpacingSource
    reason: str | None = None

    @property
    def assumptions(self) -> list[str]:
        """What a length in mm rests on."""
        if self.source is SpacingSource.HEAD_SIZE:
            return [_FROM_HEAD]
        if self.source is SpacingSource.REQUEST:
            return ["Pixel spacing is as stated in the request."]
        return ["Pixel spacing is from the DICOM header."]


def trusted_plane(geometry: Geometry, found: PlaneFinding | None) -> Plane | None:
    """The plane that measuring may rest on: stated or found, and with enough confidence.

    A slice that DICOM places too far from its plane, by more than about 37 degrees, shows none.
    """
    if geometry.plane is not None:
        stated = geometry.plane_confidence
        return geometry.plane if stated is None or stated >= TRUSTED_FROM else None
    if found is not None and found.confidence >= TRUSTED_FROM:
        return found.plane
    return None


def scale_of(
    geometry: Geometry, plane: Plane | None, size: HeadSize | None, raster: Raster
) -> Scale:
    """Pixel spacing as it was given, or from the head's size, or unknown with a reason."""
    if geometry.row_mm is not None and geometry.column_mm is not None:
        return Scale(geometry.row_mm, geometry.column_mm, 0.0, geometry.source)
    reason = None
    if plane is None:
        reason = "Pixel spacing is unknown, and the slice's plane is too uncertain to infer it."
    elif size is None:
        reason = "Pixel spacing is unknown, and no head was found to infer it from."
    elif size.cut:
        reason = "Pixel spacing is unknown, and the picture's border cuts the head."
    if plane is None or size is None or reason is not None:
        return Scale(None, None, 0.0, SpacingSource.UNKNOWN, reason)
    usual, spread = _HEAD_MM[plane]
    millimetres = usual / size.size_px
    return Scale(
        row_mm=millimetres * raster.scale_y,
        column_mm=millimetres * raster.scale_x,
        error=spread / usual,
        source=SpacingSource.HEAD_SIZE,
    )


def completed_geometry(
    geometry: Geometry, found: PlaneFinding | None, plane: Plane | None, scale: Scale
) -> Geometry:
    """`geometry` with what was inferred; nothing that was stated is changed.

    A found plane stands with its confidence even when that is too low to measure by.
    """
    stated = geometry.plane is not None
    return Geometry(
        row_mm=scale.row_mm,
        column_mm=scale.column_mm,
        source=scale.source,
        plane=geometry.plane if stated or found is None else found.plane,
        plane_confidence=(
            geometry.plane_confidence if stated or found is None else found.confidence
        ),
        orientation=orientation_in(geometry.orientation, plane),
    )


def orientation_in(orientation: Orientation, plane: Plane | None) -> Orientation:
    """A declared orientation, applied to the plane that was found since."""
    if orientation.source is not OrientationSource.DECLARED or plane is None:
        return orientation
    if orientation.image_right is PatientAxis.LEFT:
        return declared_orientation(DisplayConvention.RADIOLOGICAL, plane)
    if orientation.image_right is PatientAxis.RIGHT:
        return declared_orientation(DisplayConvention.NEUROLOGICAL, plane)
    return orientation
