"""Slices as they come from elsewhere: noisy, blurred, cropped, turned, saved badly.

Every change takes a slice (H, W) uint8 and gives one of the same shape and type; the same slice
gives the same picture each time.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Change:
    """A change to a slice: its kind, its strength in words, and what does it."""

    kind: str
    strength: str
    apply: Callable[[Pixels], Pixels]


def changes() -> tuple[Change, ...]:
    """Every change, from mild to severe within a kind."""
    return (
        *(
            _change("noise", f"deviation {sigma} of 255", _noise, sigma)
            for sigma in (5, 10, 20, 40)
        ),
        *(_change("blur", f"{sigma} px", _blur, sigma) for sigma in (1, 2, 3)),
        *(
            _change("contrast", f"× {factor}", _contrast, factor)
            for factor in (0.5, 0.75, 1.25, 1.5)
        ),
        *(_change("rotation", f"{angle}°", _rotate, angle) for angle in (5, 10, 20)),
        *(_change("crop", f"{share:.0%} of each side", _crop, share) for share in (0.95, 0.9, 0.8)),
        *(_change("JPEG", f"quality {quality}", _jpeg, quality) for quality in (75, 40, 15)),
        *(_change("low resolution", f"{side} px", _shrink, side) for side in (128, 96, 64)),
    )


def mirror(pixels: Pixels) -> Pixels:
    """The slice, left and right exchanged."""
    return np.ascontiguousarray(pixels[:, ::-1])


def _change(
    kind: str, strength: str, function: Callable[[Pixels, float], Pixels], value: float
) -> Change:
    return Change(kind=kind, strength=strength, apply=lambda pixels: function(pixels, value))


def _noise(pixels: Pixels, sigma: float) -> Pixels:
    # Seeded by the slice's own content, so that neither order nor sample changes it.
    generator = np.random.default_rng(zlib.crc32(pixels.tobytes()))
    return _to_uint8(pixels + generator.normal(0, sigma, size=pixels.shape))


def _blur(pixels: Pixels, sigma: float) -> Pixels:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), dtype=np.uint8)


def _contrast(pixels: Pixels, factor: float) -> Pixels:
    middle = float(pixels.mean())
    return _to_uint8(middle + factor * (pixels.astype(np.float64) - middle))


def _rotate(pixels: Pixels, angle: float) -> Pixels:
    rows, columns = pixels.shape
    matrix = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), angle, 1.0)
    return np.asarray(cv2.warpAffine(pixels, matrix, (columns, rows)), dtype=np.uint8)


def _crop(pixels: Pixels, share: float) -> Pixels:
    rows, columns = pixels.shape
    top, left = round(rows * (1 - share) / 2), round(columns * (1 - share) / 2)
    inner = pixels[top : rows - top, left : columns - left]
    return _resize(inner, (rows, columns))


def _jpeg(pixels: Pixels, quality: float) -> Pixels:
    _, encoded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), dtype=np.uint8)


def _shrink(pixels: Pixels, side: float) -> Pixels:
    scale = side / max(pixels.shape)
    small = (max(1, round(pixels.shape[0] * scale)), max(1, round(pixels.shape[1] * scale)))
    shrunk = cv2.resize(pixels, small[::-1], interpolation=cv2.INTER_AREA)
    return _resize(np.asarray(shrunk, dtype=np.uint8), (pixels.shape[0], pixels.shape[1]))


def _resize(pixels: Pixels, shape: tuple[int, int]) -> Pixels:
    resized = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def _to_uint8(values: NDArray[np.float64]) -> Pixels:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
