"""Where a slice lies and how large its pixels are."""

from pydantic import Field

from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import (
    DisplayConvention,
    OrientationSource,
    PatientAxis,
    Plane,
    SpacingSource,
)


class Orientation(Contract):
    """The patient directions that the picture's right and bottom edges point to."""

    image_right: PatientAxis | None = None
    image_bottom: PatientAxis | None = None
    source: OrientationSource = OrientationSource.UNKNOWN


class Geometry(Contract):
    """Pixel spacing, plane and orientation of a slice, each with its source.

    `row_mm` is the distance between rows (vertical), `column_mm` between columns (horizontal),
    both in millimetres, as in DICOM's PixelSpacing.
    """

    row_mm: float | None = Field(default=None, gt=0)
    column_mm: float | None = Field(default=None, gt=0)
    source: SpacingSource = SpacingSource.UNKNOWN
    plane: Plane | None = None
    plane_confidence: float | None = Field(default=None, ge=0, le=1)
    orientation: Orientation = Orientation()


def as_sent(geometry: Geometry) -> Geometry:
    """What was stated with the picture, without what measuring has inferred since.

    Only DICOM states a plane, and states it with the orientation.
    """
    stated = geometry.source.stated
    placed = geometry.orientation.source is OrientationSource.DICOM
    return Geometry(
        row_mm=geometry.row_mm if stated else None,
        column_mm=geometry.column_mm if stated else None,
        source=geometry.source if stated else SpacingSource.UNKNOWN,
        plane=geometry.plane if placed else None,
        plane_confidence=geometry.plane_confidence if placed else None,
        orientation=(
            geometry.orientation
            if placed
            else geometry.orientation.model_copy(update={"image_bottom": None})
        ),
    )


def declared_orientation(convention: DisplayConvention, plane: Plane | None) -> Orientation:
    """The orientation that a declared display convention implies.

    Sagittal slices show no side, so nothing follows for them. An unknown plane is left to the
    reader of the result: left and right follow for axial and coronal slices only.
    """
    if convention is DisplayConvention.UNKNOWN or plane is Plane.SAGITTAL:
        return Orientation()
    right = PatientAxis.LEFT if convention is DisplayConvention.RADIOLOGICAL else PatientAxis.RIGHT
    bottom = (
        {Plane.AXIAL: PatientAxis.POSTERIOR, Plane.CORONAL: PatientAxis.FOOT}.get(plane)
        if plane
        else None
    )
    return Orientation(image_right=right, image_bottom=bottom, source=OrientationSource.DECLARED)
