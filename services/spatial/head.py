"""The head in a slice: a working raster with square pixels, the head's outline, its extent.

Everything that needs shape but not fine detail (head, brain, midline, plane) works on one raster
whose longest side is 256 pixels and whose pixels are square; it is made here.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]
Mask = NDArray[np.bool_]

WORK_SIDE_PX = 256
_MIN_HEAD_SHARE = 0.04


@dataclass(frozen=True)
class Extent:
    """A bounding box in working pixels, half-open."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Columns covered."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows covered."""
        return self.y1 - self.y0


@dataclass(frozen=True)
class Raster:
    """The slice on the working raster: `pixels` uint8 (h, w), `scale_x`, `scale_y` working px a px.

    A point (x, y) of the slice, pixel centers at whole numbers, lies at
    ((x + 0.5)·scale_x - 0.5, (y + 0.5)·scale_y - 0.5) here.
    """

    pixels: Gray
    scale_x: float
    scale_y: float


def working_raster(pixels: Gray, row_to_column: float = 1.0) -> Raster:
    """Resample `pixels` (H, W) uint8 to square pixels, longest side `WORK_SIDE_PX`.

    `row_to_column` is row_mm / column_mm; 1 for square pixels.
    """
    height, width = pixels.shape
    scale = WORK_SIDE_PX / max(height * row_to_column, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale * row_to_column)))
    shrinking = size[0] * size[1] < height * width
    resized = cv2.resize(
        pixels, size, interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    )
    return Raster(np.asarray(resized, np.uint8), size[0] / width, size[1] / height)


def mask_on_raster(mask: Mask, raster: Raster) -> Mask:
    """A mask (H, W) of the slice on the working raster; never empty when `mask` is not."""
    height, width = raster.pixels.shape
    share = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    result: Mask = np.asarray(share) >= min(0.5, float(share.max()))
    return result if mask.any() else np.zeros((height, width), bool)


def head_mask(pixels: Gray) -> Mask | None:
    """The head with its scalp, holes filled, as bool (H, W); None when there is no such thing.

    Otsu's threshold on the square root of the smoothed intensities (the root draws the dark brain
    away from the background), opened, filled, largest component, closed, filled. A pale
    background, as screenshots have, is subtracted first.
    """
    smooth = cv2.GaussianBlur(pixels, (0, 0), 1.2).astype(np.float32)
    background = _border_level(smooth)
    root = np.sqrt(np.clip(smooth - background, 0, None))
    top = float(np.percentile(root, 99.5))
    if top < 1:
        return None
    scaled = np.clip(root * (255 / top), 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    rough = (scaled > 0.7 * level).astype(np.uint8)
    rough = cv2.morphologyEx(rough, cv2.MORPH_OPEN, _disk(2))
    # Filled first: where bone is as dark as the background, the scalp is a ring of its own.
    largest = largest_component(fill_holes(_close(rough.astype(bool), 2)))
    if largest is None:
        return None
    closed = _close(largest, 9)
    filled = fill_holes(closed)
    opened = cv2.morphologyEx(filled.astype(np.uint8), cv2.MORPH_OPEN, _disk(4)).astype(bool)
    head = largest_component(opened)
    if head is None or head.mean() < _MIN_HEAD_SHARE:
        return None
    return head


def extent_of(mask: Mask) -> Extent:
    """The bounding box of a mask that is not empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    return Extent(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def largest_component(mask: Mask) -> Mask | None:
    """The largest 8-connected component, or None when the mask is empty."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return None
    index = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    result: Mask = np.asarray(labels) == index
    return result


def fill_holes(mask: Mask) -> Mask:
    """The mask with everything filled that the picture's border cannot reach."""
    padded = np.pad(mask.astype(np.uint8), 1)
    flood = padded.copy()
    cv2.floodFill(flood, None, (0, 0), 1)
    outside = (flood == 1) & (padded == 0)
    result: Mask = ~outside[1:-1, 1:-1]
    return result


def _close(mask: Mask, radius: int) -> Mask:
    padded = np.pad(mask.astype(np.uint8), radius)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, _disk(radius))
    return np.asarray(closed[radius:-radius, radius:-radius]).astype(bool)


def _border_level(smooth: NDArray[np.float32]) -> float:
    """The background's level: that of the picture's corners where they agree, else the darkest."""
    height, width = smooth.shape
    h, w = max(2, height // 16), max(2, width // 16)
    corners = sorted(
        float(np.median(part))
        for part in (smooth[:h, :w], smooth[:h, -w:], smooth[-h:, :w], smooth[-h:, -w:])
    )
    return corners[1] if corners[2] - corners[0] < 12 else corners[0]


def _disk(radius: int) -> Gray:
    return np.asarray(
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8
    )
