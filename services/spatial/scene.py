"""Everything that the parameters are computed from, surveyed once for a slice.

The scene is canonical: axial slices with the forehead up, coronal and sagittal ones with the
vertex up, as far as the orientation is known; left and right are never exchanged.
"""

from dataclasses import dataclass

import numpy as np

from neuroscan.contracts.enums import PatientAxis, Plane
from neuroscan.contracts.geometry import Geometry, Orientation
from neuroscan.imaging.region_mask import RegionMask
from services.spatial.brain import HeadSize, brain_mask, cranium_mask, head_size
from services.spatial.head import Gray, Mask, Raster, head_mask, mask_on_raster, working_raster
from services.spatial.plane import PlaneFinding, find_plane
from services.spatial.spacing import Scale, completed_geometry, scale_of, trusted_plane
from services.spatial.standing import DRAWN
from services.spatial.symmetry import Midline, find_midline

_UPSIDE_DOWN = {
    Plane.AXIAL: PatientAxis.ANTERIOR,
    Plane.CORONAL: PatientAxis.HEAD,
    Plane.SAGITTAL: PatientAxis.HEAD,
}
_SIDEWAYS = {
    Plane.AXIAL: (PatientAxis.ANTERIOR, PatientAxis.POSTERIOR),
    Plane.CORONAL: (PatientAxis.HEAD, PatientAxis.FOOT),
    Plane.SAGITTAL: (PatientAxis.HEAD, PatientAxis.FOOT),
}
MIDLINE_TRUSTED_FROM = 0.2


@dataclass(frozen=True)
class Lesion:
    """The region, on the slice's grid (H, W) and on the working raster (h, w).

    `masks` holds it with its plausible range, `about` says in a sentence what it rests on.
    `center` is its centroid in working pixels (x, y), to a fraction of a pixel.
    """

    masks: RegionMask
    on_raster: Mask
    center: tuple[float, float]
    about: str

    @property
    def mask(self) -> Mask:
        """The region itself (H, W)."""
        return self.masks.chosen


@dataclass(frozen=True)
class Anatomy:
    """The head on the working raster; `midline` only on axial and coronal slices."""

    head: Mask
    brain: Mask
    size: HeadSize
    midline: Midline | None
    faces_left: bool | None
    at_base: float


@dataclass(frozen=True)
class Scene:
    """A slice as the parameters see it; `pixels` (H, W) uint8, canonical.

    `plane` is None unless it can be relied on. `geometry` is the completed one, of the slice as it
    came.
    """

    pixels: Gray
    raster: Raster
    geometry: Geometry
    plane: Plane | None
    scale: Scale
    anatomy: Anatomy | None
    lesion: Lesion | None

    @property
    def work_mm(self) -> float | None:
        """Millimetres a working pixel, or None when the spacing is unknown."""
        if self.scale.column_mm is None:
            return None
        return self.scale.column_mm / self.raster.scale_x

    @property
    def midline(self) -> Midline | None:
        """The midline, where there is one to rely on."""
        line = self.anatomy.midline if self.anatomy else None
        return line if line is not None and line.confidence >= MIDLINE_TRUSTED_FROM else None

    @property
    def no_midline_reason(self) -> str:
        """Why `midline` is None."""
        if self.anatomy is None:
            return "No head was found in the picture."
        if self.plane is None:
            return "The slice's plane is too uncertain."
        if self.plane is Plane.SAGITTAL:
            return "A sagittal slice shows no midline."
        return "The head is not symmetric enough in this slice to place the midline."


def survey(
    pixels: Gray,
    region: RegionMask | None,
    geometry: Geometry,
    *,
    about: str = DRAWN,
) -> Scene:
    """Find head, plane, spacing, midline and brain of a slice (H, W) uint8.

    `region` has masks (H, W) bool; None or empty when there is none. `about` says what it rests on.
    Raises `ValueError` when shapes or types don't fit.
    """
    _check(pixels, region)
    ratio = geometry.row_mm / geometry.column_mm if geometry.row_mm and geometry.column_mm else 1.0
    orientation = geometry.orientation
    flipped = geometry.plane is not None and (
        orientation.image_bottom is _UPSIDE_DOWN[geometry.plane]
    )
    if flipped:
        pixels = np.ascontiguousarray(pixels[::-1])
        region = None if region is None else _upside_down(region)
    raster = working_raster(pixels, ratio)
    head = head_mask(raster.pixels)
    found = None if head is None else find_plane(raster.pixels, head)
    plane = trusted_plane(geometry, found)
    if plane is not None and orientation.image_right in _SIDEWAYS[plane]:
        plane = None
    size = None if head is None else head_size(head, plane)
    anatomy = None
    if head is not None and found is not None and size is not None:
        anatomy = _anatomy(raster, head, size, plane, found, orientation)
        size = anatomy.size
    scale = scale_of(geometry, plane, size, raster)
    return Scene(
        pixels=pixels,
        raster=raster,
        geometry=completed_geometry(geometry, found, plane, scale),
        plane=plane,
        scale=scale,
        anatomy=anatomy,
        lesion=None if region is None else _lesion(region, raster, about),
    )


def _upside_down(region: RegionMask) -> RegionMask:
    return RegionMask(
        *(np.ascontiguousarray(part[::-1]) for part in (region.loose, region.chosen, region.tight))
    )


def _check(pixels: Gray, region: RegionMask | None) -> None:
    if pixels.ndim != 2 or pixels.dtype != np.uint8 or min(pixels.shape) < 1:
        raise ValueError(f"pixels must be uint8 (H, W), not {pixels.dtype} {pixels.shape}")
    for mask in () if region is None else (region.loose, region.chosen, region.tight):
        if mask.shape != pixels.shape or mask.dtype != np.bool_:
            raise ValueError(f"mask must be bool {pixels.shape}, not {mask.dtype} {mask.shape}")


def _anatomy(
    raster: Raster,
    head: Mask,
    size: HeadSize,
    plane: Plane | None,
    found: PlaneFinding,
    orientation: Orientation,
) -> Anatomy:
    faces_left = _facing(found, orientation) if plane is Plane.SAGITTAL else None
    cranium = cranium_mask(head, size, plane, faces_left)
    midline = None
    if plane in (Plane.AXIAL, Plane.CORONAL):
        midline = find_midline(raster.pixels, cranium)
    if midline is not None and plane is Plane.AXIAL:
        size = head_size(head, plane, midline.tilt_deg)
    brain = brain_mask(raster.pixels, cranium, size.size_px)
    return Anatomy(head, brain, size, midline, faces_left, found.at_base)


def _facing(found: PlaneFinding, orientation: Orientation) -> bool:
    if orientation.image_right is PatientAxis.POSTERIOR:
        return True
    if orientation.image_right is PatientAxis.ANTERIOR:
        return False
    return found.faces_left >= 0.5


def _lesion(region: RegionMask, raster: Raster, about: str) -> Lesion | None:
    if not region.chosen.any():
        return None
    rows, columns = np.nonzero(region.chosen)
    center = (
        (float(columns.mean()) + 0.5) * raster.scale_x - 0.5,
        (float(rows.mean()) + 0.5) * raster.scale_y - 0.5,
    )
    return Lesion(region, mask_on_raster(region.chosen, raster), center, about)
