"""Intensities to uint8."""

import numpy as np
import numpy.typing as npt

from neuroscan.contracts.problems import BadImage
from neuroscan.imaging.slice import GrayPixels

LOW_PERCENTILE = 0.5
HIGH_PERCENTILE = 99.5


def window_to_uint8(values: npt.NDArray[np.generic]) -> GrayPixels:
    """Clip `values` (H, W) at their 0.5 and 99.5 percentiles and spread them over 0 to 255.

    This is what the network was trained on; DICOM's window is for display. Values that are no
    finite number count as the lowest. Where both percentiles agree, the smallest and the largest
    value take their place; a constant image is black. Raises `BadImage` without any finite value.
    """
    plain = values.astype(np.float32)
    finite = np.isfinite(plain)
    if not finite.all():
        if not finite.any():
            raise BadImage("The picture holds no finite values.")
        plain[~finite] = plain[finite].min()
    low, high = (float(edge) for edge in np.percentile(plain, (LOW_PERCENTILE, HIGH_PERCENTILE)))
    if high <= low:
        low, high = float(plain.min()), float(plain.max())
    if high - low < np.finfo(np.float32).tiny:
        return np.zeros(plain.shape, dtype=np.uint8)
    np.clip(plain, low, high, out=plain)
    # Halves first: the range of two float32 may not fit into one.
    plain *= 0.5
    plain -= 0.5 * low
    plain *= 255.0 / (0.5 * (high - low))
    return np.rint(plain).clip(0, 255).astype(np.uint8)


def luma(colors: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Luma (ITU-R BT.601) of `colors` (H, W, 3): float32 (H, W)."""
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.asarray(colors[..., :3].astype(np.float32) @ weights, dtype=np.float32)
