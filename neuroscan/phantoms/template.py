"""Slices of the skull-stripped T1 template, and of the brain's outline, at any level.

The template is ICBM 2009a (Fonov et al., NeuroImage 47, 2009), 1 mm, as nilearn ships it.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatImage = NDArray[np.float64]

_FILE = Path("datasets", "data", "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz")
_PADDING_MM = 60
_CLOSING_MM = 40
_SMOOTHING_MM = 4.0


@dataclass(frozen=True)
class TemplateSlice:
    """One axial level: arrays (X, Y) on a 1 mm grid, first axis to the right, second to the front.

    `t1` is 0 to 255, sharpened; `outside_mm` the signed distance from the brain's hull (negative
    inside). `front_mm` and `back_mm` are the hull's ends at the midline, `half_breadth_mm` its
    largest |x|.
    """

    t1: FloatImage
    outside_mm: FloatImage
    origin_mm: tuple[float, float]
    front_mm: float
    back_mm: float
    half_breadth_mm: float

    def sample(self, image: FloatImage, x_mm: FloatImage, y_mm: FloatImage) -> FloatImage:
        """`image` at MNI positions (linear; the edge continues outwards)."""
        at = np.stack([x_mm - self.origin_mm[0], y_mm - self.origin_mm[1]])
        sampled: FloatImage = ndimage.map_coordinates(image, at, order=1, mode="nearest")
        return sampled


@lru_cache(maxsize=1)
def _volume() -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The template's voxels and its affine; FileNotFoundError when nilearn is not installed."""
    found = find_spec("nilearn")
    if found is None or found.origin is None:
        raise FileNotFoundError("Phantoms need nilearn: install the extra `local`.")
    import nibabel  # noqa: PLC0415 - slow, needed by phantoms only, and comes with nilearn

    image = nibabel.Nifti1Image.from_filename(Path(found.origin).parent / _FILE)
    return np.asarray(image.dataobj, dtype=np.uint8), np.asarray(image.affine, dtype=np.float64)


@lru_cache(maxsize=8)
def template_slice(z_mm: float, thickness_mm: float) -> TemplateSlice:
    """The template at one level, averaged over the slice's thickness, with room for the head."""
    voxels, affine = _volume()
    if not np.allclose(affine[:3, :3], np.eye(3)):
        raise ValueError("the template is not on the 1 mm grid that phantoms expect")
    through = np.arange(voxels.shape[2]) + affine[2, 3] - z_mm
    weights = np.clip((thickness_mm + 1) / 2 - np.abs(through), 0, 1)
    t1 = np.pad(voxels @ (weights / weights.sum()), _PADDING_MM)
    origin = float(affine[0, 3]) - _PADDING_MM, float(affine[1, 3]) - _PADDING_MM
    outside = _distance_from_hull(t1 > 20)
    x, y = np.nonzero(outside < 0)
    middle = y[np.abs(x + origin[0]) < 6] + origin[1]
    return TemplateSlice(
        t1=_sharpened(t1),
        outside_mm=outside,
        origin_mm=origin,
        front_mm=float(middle.max()),
        back_mm=float(middle.min()),
        half_breadth_mm=float(np.abs(x + origin[0]).max()),
    )


def _distance_from_hull(brain: NDArray[np.bool_]) -> FloatImage:
    """Signed distance in mm from the brain's outline with its fissures closed."""
    grown = ndimage.distance_transform_edt(~brain) <= _CLOSING_MM
    hull = ndimage.distance_transform_edt(grown) > _CLOSING_MM
    hull = ndimage.binary_fill_holes(hull | brain)
    signed = ndimage.distance_transform_edt(~hull) - ndimage.distance_transform_edt(hull)
    smooth: FloatImage = ndimage.gaussian_filter(signed, _SMOOTHING_MM)
    return smooth


def _sharpened(t1: FloatImage) -> FloatImage:
    """Undo some of the averaging over 152 people, so that sulci show."""
    inside = (t1 > 20).astype(np.float64)
    local = ndimage.gaussian_filter(t1, 3.0) / np.maximum(ndimage.gaussian_filter(inside, 3.0), 0.2)
    sharp: FloatImage = np.where(t1 > 20, t1 + 0.9 * (t1 - local), 0.0)
    return np.clip(sharp, 0.0, 255.0)
