"""What the plane classifier sees of a slice: oriented gradients of the head, cropped to 64 x 64.

Shared by the worker and by `training.plane`, so it imports neither pydantic nor the contracts.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from services.spatial.head import Extent, Gray, Mask, extent_of

CROP_PX = 64
_CELL_PX = 8
_BINS = 9
_THUMBNAIL_PX = 16
FEATURES = (CROP_PX // _CELL_PX) ** 2 * _BINS + _THUMBNAIL_PX**2


def plane_features(pixels: Gray, head: Mask) -> NDArray[np.float32]:
    """The feature vector (FEATURES,) float32 of a working raster and its head mask.

    Histograms of unsigned gradient orientations in 8 x 8 cells of 8 pixels (Dalal and Triggs
    2005, each cell scaled by its 3 x 3 neighborhood), and a 16 x 16 thumbnail with zero mean and
    unit deviation. Brightness and contrast drop out; size and place in the picture too.
    """
    crop = head_crop(pixels, head)
    gradients = _oriented_gradients(crop)
    small = cv2.resize(crop, (_THUMBNAIL_PX, _THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    thumbnail = (small - small.mean()) / (small.std() + 1e-6)
    features = np.concatenate([gradients.ravel(), 0.25 * np.asarray(thumbnail).ravel()])
    return features.astype(np.float32)


def head_crop(pixels: Gray, head: Mask) -> NDArray[np.float32]:
    """The head alone in a square of 64 x 64, float32, about 0 to 1; the aspect ratio is kept."""
    box = extent_of(head)
    inside = np.where(head, pixels, 0).astype(np.float32)
    inside = inside[box.y0 : box.y1, box.x0 : box.x1] / max(
        1.0, float(np.percentile(pixels[head], 99))
    )
    square = _square(np.minimum(inside, 1.5), box)
    resized = cv2.resize(square, (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.float32)


def _square(inside: NDArray[np.float32], box: Extent) -> NDArray[np.float32]:
    side = max(box.width, box.height)
    square = np.zeros((side, side), np.float32)
    top, left = (side - box.height) // 2, (side - box.width) // 2
    square[top : top + box.height, left : left + box.width] = inside
    return square


def _oriented_gradients(crop: NDArray[np.float32]) -> NDArray[np.float32]:
    dx = np.asarray(cv2.Sobel(crop, cv2.CV_32F, 1, 0, ksize=3), np.float32)
    dy = np.asarray(cv2.Sobel(crop, cv2.CV_32F, 0, 1, ksize=3), np.float32)
    size = np.sqrt(np.hypot(dx, dy))
    place = (np.arctan2(dy, dx) % np.pi) * (_BINS / np.pi)
    low = np.floor(place)
    share = place - low
    cells = CROP_PX // _CELL_PX
    histogram = np.zeros((cells, cells, _BINS), np.float32)
    for bin_index in range(_BINS):
        weight = size * (
            np.where(low % _BINS == bin_index, 1 - share, 0)
            + np.where((low + 1) % _BINS == bin_index, share, 0)
        )
        by_cell = weight.reshape(cells, _CELL_PX, cells, _CELL_PX)
        histogram[:, :, bin_index] = by_cell.sum(axis=(1, 3))
    energy = cv2.boxFilter(np.square(histogram).sum(axis=2), cv2.CV_32F, (3, 3))
    norm = np.sqrt(np.asarray(energy, np.float32) + np.float32(1e-3))
    return np.asarray(histogram / norm[:, :, None], np.float32)
