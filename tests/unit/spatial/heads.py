"""Drawn heads for the tests: symmetric, with scalp, skull, brain, ventricles and a fissure."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from neuroscan.contracts.enums import (
    DisplayConvention,
    OrientationSource,
    PatientAxis,
    Plane,
    SpacingSource,
    TumorClass,
)
from neuroscan.contracts.geometry import Geometry, Orientation, declared_orientation
from neuroscan.contracts.spatial import MeasureResult
from neuroscan.imaging.region_mask import RegionMask
from services.spatial.measure import measure

Gray = NDArray[np.uint8]
Mask = NDArray[np.bool_]
SIDE_PX = 256


@dataclass(frozen=True)
class Ellipse:
    """A lesion: center x, y and axes in pixels, the long axis `angle_deg` from horizontal."""

    x: float
    y: float
    longest: float
    perpendicular: float
    angle_deg: float = 0.0

    def mask(self, shape: tuple[int, int] = (SIDE_PX, SIDE_PX)) -> Mask:
        """Pixels whose centers lie inside, (H, W) bool."""
        rows, columns = np.indices(shape)
        angle = np.deg2rad(self.angle_deg)
        along = (columns - self.x) * np.cos(angle) + (rows - self.y) * np.sin(angle)
        across = -(columns - self.x) * np.sin(angle) + (rows - self.y) * np.cos(angle)
        inside: Mask = (2 * along / self.longest) ** 2 + (2 * across / self.perpendicular) ** 2 <= 1
        return inside


def axial_head(*, shift_px: float = 0.0, seed: int = 0) -> Gray:
    """An axial head 150 px broad and 184 px long in 256 x 256, forehead up.

    Symmetric about the column 127.5 but for noise, and for what is pushed by `shift_px` to the
    picture's right: ventricles and fissure whole, the tissue beside them less and less.
    """
    rows, columns = np.indices((SIDE_PX, SIDE_PX)).astype(np.float64)
    x, y = columns - 127.5, rows - 127.5
    rng = np.random.default_rng(seed)
    picture = np.full((SIDE_PX, SIDE_PX), 4.0)
    picture[_inside(x, y, 75, 92)] = 190  # scalp
    picture[_inside(x, y, 69, 86)] = 30  # skull
    brain = _inside(x, y, 62, 79)
    bulge = np.exp(-0.5 * ((y + 4) / 22) ** 2)
    middle = x - shift_px * bulge * np.clip((62 - np.abs(x)) / 40, 0, 1)
    # Folds that mirror: a pattern of the distance from the middle and of y.
    away = np.abs(middle)
    folds = np.sin(away / 3.1 + 0.7 * np.sin(y / 7.0)) * np.sin(y / 4.3 + away / 11.0)
    picture[brain] = (110 + 18 * folds)[brain]
    for side in (-1, 1):
        ventricle = _inside(middle - side * 9, y + 6, 5, 20)
        picture[ventricle] = 35
    picture[brain & (np.abs(middle) < 1.3) & (np.abs(y) < 74)] = 55
    soft = cv2.GaussianBlur(picture, (0, 0), 0.8) + rng.normal(0, 2.0, picture.shape)
    return np.clip(soft, 0, 255).astype(np.uint8)


def with_lesion(pixels: Gray, lesion: Mask, level: float = 170.0, seed: int = 1) -> Gray:
    """The slice with the region painted, grainy."""
    rng = np.random.default_rng(seed)
    painted = pixels.astype(np.float64)
    grain = cv2.GaussianBlur(rng.normal(0, 1, pixels.shape), (0, 0), 1.5)
    painted[lesion] = (level + 60 * grain)[lesion]
    return np.clip(painted, 0, 255).astype(np.uint8)


def geometry(
    *,
    spacing_mm: float | None = 1.0,
    plane: Plane | None = Plane.AXIAL,
    right: PatientAxis | None = PatientAxis.LEFT,
) -> Geometry:
    """A geometry as a DICOM file states it; `right` is where the picture's right edge points."""
    return Geometry(
        row_mm=spacing_mm,
        column_mm=spacing_mm,
        source=SpacingSource.UNKNOWN if spacing_mm is None else SpacingSource.DICOM,
        plane=plane,
        plane_confidence=None if plane is None else 1.0,
        orientation=Orientation(
            image_right=right,
            source=OrientationSource.UNKNOWN if right is None else OrientationSource.DICOM,
        ),
    )


def declared(convention: DisplayConvention) -> Geometry:
    """What the gateway knows of a JPEG with a declared display convention: no plane yet."""
    return Geometry(orientation=declared_orientation(convention, None))


def measured(
    pixels: Gray, mask: RegionMask | Mask | None, where: Geometry | None = None, **changes: Any
) -> MeasureResult:
    """`measure` with the usual facts: a calibrated, accepted glioma."""
    facts: dict[str, Any] = {
        "label": TumorClass.GLIOMA,
        "confidence": 0.9,
        "calibrated": True,
        "input_accepted": True,
        **changes,
    }
    return measure(pixels, mask, geometry() if where is None else where, **facts)


def _inside(x: NDArray[np.float64], y: NDArray[np.float64], half_x: float, half_y: float) -> Mask:
    result: Mask = (x / half_x) ** 2 + (y / half_y) ** 2 <= 1
    return result
