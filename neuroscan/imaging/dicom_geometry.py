"""Pixel spacing, plane and orientation from DICOM's attributes (PS3.3, C.7.6.2, C.7.6.16.2)."""

import math
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from neuroscan.contracts.enums import OrientationSource, PatientAxis, Plane
from neuroscan.contracts.geometry import Orientation
from neuroscan.imaging.dicom_values import in_group

SPACING_MIN_MM = 0.01
SPACING_MAX_MM = 20.0
_SURE_COSINE = math.cos(math.radians(20))
# Along +x, +y, +z of DICOM's patient coordinates, and against them.
_TOWARD = (PatientAxis.LEFT, PatientAxis.POSTERIOR, PatientAxis.HEAD)
_AWAY = (PatientAxis.RIGHT, PatientAxis.ANTERIOR, PatientAxis.FOOT)
_PLANE_OF_NORMAL = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)


@dataclass(frozen=True)
class Placement:
    """The plane, how sure it is (0 to 1), and the picture's directions."""

    plane: Plane
    confidence: float
    orientation: Orientation


def plausible_spacing(spacing_mm: tuple[float, ...] | None) -> bool:
    """Whether there are two finite lengths (row, column) between 0.01 and 20 mm."""
    return (
        spacing_mm is not None
        and len(spacing_mm) == 2
        and all(SPACING_MIN_MM <= length <= SPACING_MAX_MM for length in spacing_mm)
    )


def pixel_spacing_mm(elements: Dataset, frame: int) -> tuple[float, float] | None:
    """PixelSpacing (row, column) in mm, at the patient; None when missing or implausible.

    ImagerPixelSpacing is a length at the detector, so it is not used.
    """
    found = in_group(elements, frame, "PixelMeasuresSequence", "PixelSpacing")
    if found is None or not plausible_spacing(found):
        return None
    return found[0], found[1]


def placement(elements: Dataset, frame: int) -> Placement | None:
    """Plane and orientation by ImageOrientationPatient; None when it is missing or malformed.

    The plane is that of the dominant component of the slice's normal. Its confidence is 1 within
    20 degrees, and the cosine of the angle beyond.
    """
    cosines = in_group(elements, frame, "PlaneOrientationSequence", "ImageOrientationPatient")
    if cosines is None or len(cosines) != 6 or not all(map(math.isfinite, cosines)):
        return None
    across, down = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = float(np.linalg.norm(across)), float(np.linalg.norm(down))
    if any(abs(length - 1) > 0.1 for length in lengths) or abs(float(across @ down)) > 0.1:
        return None
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
    through = int(np.argmax(np.abs(normal)))
    cosine = float(abs(normal[through]))
    # The two directions in the picture take the two axes that are left, one each.
    free = [axis for axis in range(3) if axis != through]
    horizontal = max(free, key=lambda axis: abs(float(across[axis])))
    vertical = free[1 - free.index(horizontal)]
    return Placement(
        plane=_PLANE_OF_NORMAL[through],
        confidence=1.0 if cosine >= _SURE_COSINE else cosine,
        orientation=Orientation(
            image_right=_letter(horizontal, float(across[horizontal])),
            image_bottom=_letter(vertical, float(down[vertical])),
            source=OrientationSource.DICOM,
        ),
    )


def _letter(axis: int, component: float) -> PatientAxis:
    return _TOWARD[axis] if component >= 0 else _AWAY[axis]
