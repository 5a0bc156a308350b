"""The midline of an axial or coronal slice: the axis about which the head mirrors best."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from services.spatial.head import Gray, Mask

_SIDE_PX = 128
_COARSE_DEG = np.arange(-24.0, 24.1, 3.0)
_FINE_DEG = np.arange(-2.5, 2.6, 0.5)
_OUTLINE_WEIGHT = 0.5
_WEAKEST, _STRONGEST = 0.15, 0.60

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Midline:
    """A line through (`x`, `y`) in working pixels, `tilt_deg` from the vertical.

    A positive tilt leans its lower end to the left of the picture. `confidence` (0 to 1) grows
    with the mirror correlation of the tissue: 0 at 0.15, 1 at 0.6.
    """

    x: float
    y: float
    tilt_deg: float
    confidence: float

    @property
    def direction(self) -> tuple[float, float]:
        """The unit vector down the line."""
        tilt = np.deg2rad(self.tilt_deg)
        return -float(np.sin(tilt)), float(np.cos(tilt))

    def column_at(self, y: float) -> float:
        """The column where the line crosses row `y`."""
        return self.x - (y - self.y) * float(np.tan(np.deg2rad(self.tilt_deg)))

    def offset(self, x: Floats, y: Floats) -> Floats:
        """Signed distance in working pixels, positive towards the picture's right."""
        down_x, down_y = self.direction
        result: Floats = (x - self.x) * down_y - (y - self.y) * down_x
        return result

    def along(self, x: Floats, y: Floats) -> Floats:
        """Position along the line from (`x`, `y`) of the line, in working pixels."""
        down_x, down_y = self.direction
        result: Floats = (x - self.x) * down_x + (y - self.y) * down_y
        return result

    def reflection(self) -> Floats:
        """The affine matrix (2, 3) that mirrors points about the line."""
        dx, dy = self.direction
        turn = np.array([[dx * dx - dy * dy, 2 * dx * dy], [2 * dx * dy, dy * dy - dx * dx]])
        point = np.array([self.x, self.y])
        return np.column_stack([turn, point - turn @ point])

    def mirror(self, image: NDArray[np.generic], nearest: bool = False) -> NDArray[np.generic]:
        """The image (h, w) mirrored about the line, same shape and type."""
        height, width = image.shape
        flags = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
        return np.asarray(
            cv2.warpAffine(np.asarray(image), self.reflection(), (width, height), flags=flags),
            image.dtype,
        )


def find_midline(pixels: Gray, cranium: Mask) -> Midline | None:
    """The axis of best mirror correlation of outline and tissue inside `cranium`; None when bare.

    For each of a set of rotations the mirror correlation over all offsets at once is the
    convolution of each row with itself (by FFT); the best angle is refined to half a degree. The
    axis is the mean of the slice's and its mirror image's, so that mirroring mirrors it exactly.
    """
    if cranium.sum() < 100:
        return None
    here = _best_axis(pixels, cranium)
    there = _best_axis(
        np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(cranium[:, ::-1])
    )
    # Two columns can only be averaged where both are read: at the cranium's middle row.
    row = here.y
    x = (here.column_at(row) + pixels.shape[1] - 1 - there.column_at(row)) / 2
    return Midline(
        x=x,
        y=row,
        tilt_deg=(here.tilt_deg - there.tilt_deg) / 2,
        confidence=(here.confidence + there.confidence) / 2,
    )


def _best_axis(pixels: Gray, cranium: Mask) -> Midline:
    scale = _SIDE_PX / max(pixels.shape)
    size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
    outline = np.asarray(
        cv2.resize(cranium.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float64
    )
    tissue = _flattened(
        np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.float64), outline
    )
    moments = cv2.moments(outline.astype(np.float32))
    center = (moments["m10"] / moments["m00"], moments["m01"] / moments["m00"])
    coarse = [_mirror_score(outline, tissue, center, angle) for angle in _COARSE_DEG]
    best = float(_COARSE_DEG[int(np.argmax([score for score, _, _ in coarse]))])
    fine = [(_mirror_score(outline, tissue, center, best + d), best + d) for d in _FINE_DEG]
    (_, axis_x, likeness), tilt = max(fine, key=lambda item: item[0][0])
    # The axis stands upright at `axis_x` in the picture turned about `center`; turn it back.
    shift = axis_x - center[0]
    turn = np.deg2rad(tilt)
    x = center[0] + shift * np.cos(turn)
    y = center[1] + shift * np.sin(turn)
    confidence = float(np.clip((likeness - _WEAKEST) / (_STRONGEST - _WEAKEST), 0, 1))
    found = Midline((x + 0.5) / scale - 0.5, (y + 0.5) / scale - 0.5, float(tilt), confidence)
    middle = (center[1] + 0.5) / scale - 0.5
    return Midline(found.column_at(middle), middle, found.tilt_deg, confidence)


def _flattened(pixels: Floats, outline: Floats) -> Floats:
    """Tissue without slow shading: local contrast inside the outline, zero outside."""
    weight = cv2.GaussianBlur(outline, (0, 0), 12) + 1e-3
    mean = cv2.GaussianBlur(pixels * outline, (0, 0), 12) / weight
    residual = (pixels - mean) * outline
    deviation = np.sqrt(cv2.GaussianBlur(residual**2, (0, 0), 12) / weight) + 1.0
    flat = cv2.GaussianBlur(residual / deviation, (0, 0), 1.0) * outline
    result: Floats = np.clip(np.asarray(flat), -2.5, 2.5)
    return result


def _mirror_score(
    outline: Floats, tissue: Floats, center: tuple[float, float], angle_deg: float
) -> tuple[float, float, float]:
    """Score, column of the axis, and tissue correlation there, of the picture turned upright."""
    height, width = outline.shape
    matrix = cv2.getRotationMatrix2D(center, angle_deg, 1.0)
    turned_outline: Floats = np.asarray(
        cv2.warpAffine(outline, matrix, (width, height)), np.float64
    )
    turned_tissue: Floats = np.asarray(cv2.warpAffine(tissue, matrix, (width, height)), np.float64)
    shape = _self_convolution(turned_outline) / ((turned_outline**2).sum() + 1e-6)
    content = _self_convolution(turned_tissue) / ((turned_tissue**2).sum() + 1e-6)
    score = _OUTLINE_WEIGHT * shape + (1 - _OUTLINE_WEIGHT) * content
    best = int(score.argmax())
    step = _vertex(score, best)
    return float(score[best]), (best + step) / 2, float(content[best])


def _self_convolution(image: Floats) -> Floats:
    """Σ over rows of Σ_x I(x)·I(k - x), for k = 0 … 2·w - 2."""
    width = image.shape[1]
    spectrum = np.fft.rfft(image, n=2 * width, axis=1)
    result: Floats = np.fft.irfft((spectrum**2).sum(axis=0), n=2 * width)[: 2 * width - 1]
    return result


def _vertex(values: Floats, index: int) -> float:
    """Where a parabola through three neighbors peaks, as an offset from `index`."""
    if not 0 < index < len(values) - 1:
        return 0.0
    before, here, after = values[index - 1 : index + 2]
    bend = before - 2 * here + after
    return float(0.5 * (before - after) / bend) if bend < 0 else 0.0
