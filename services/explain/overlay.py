"""The pictures of an explanation: heat map, overlay with its outline.

Colors are scaled to the map's own maximum, for the picture only: a weak map looks as hot as a
strong one. The numbers stand in `cam.npz`.
"""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuroscan.contracts.results import Region
from services.explain.evidence import upsample

Pixels = NDArray[np.uint8]

OUTLINE_RGB = (0xFF, 0xD4, 0x3B)
# Evidence below this share of the maximum fades out, so that it hides no anatomy.
OPAQUE_FROM = 0.25
OVERLAY_STRENGTH = 0.6


def heatmap(raw: NDArray[np.float32], shape: tuple[int, int]) -> Pixels:
    """The heat map in inferno colors, (H, W, 4) RGBA; transparent where there is no evidence."""
    share = _share_of_maximum(raw, shape)
    levels = np.round(share * 255).astype(np.uint8)
    bgr = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)
    alpha = np.round(np.clip(share / OPAQUE_FROM, 0, 1) * 255).astype(np.uint8)
    return np.dstack([bgr[..., ::-1], alpha]).astype(np.uint8)


def overlay(pixels: Pixels, raw: NDArray[np.float32], region: Region | None) -> Pixels:
    """The slice (H, W) under its heat map with the region outlined in yellow, (H, W, 3) RGB."""
    heat = heatmap(raw, (pixels.shape[0], pixels.shape[1])).astype(np.float32)
    gray = np.repeat(pixels[..., None], 3, axis=2).astype(np.float32)
    weight = heat[..., 3:] / 255 * OVERLAY_STRENGTH
    blended = np.round(gray * (1 - weight) + heat[..., :3] * weight).astype(np.uint8)
    if region is not None:
        outlines = [np.array(outline, dtype=np.int32) for outline in region.contours]
        thickness_px = outline_thickness_px(max(pixels.shape))
        cv2.polylines(blended, outlines, isClosed=True, color=OUTLINE_RGB, thickness=thickness_px)
    return blended


def outline_thickness_px(longest_side_px: int) -> int:
    """A line that looks alike in a thumbnail and in a large slice."""
    return max(1, round(longest_side_px / 200))


# Values in a picture, not pixels: 4 megapixels in color.
_LARGE = 12_000_000


def png(pixels: Pixels) -> bytes:
    """The array, (H, W), (H, W, 3) or (H, W, 4), as a PNG file."""
    buffer = io.BytesIO()
    # Packing a picture of tens of megapixels tightly would take longer than all the rest.
    level = 4 if pixels.size < _LARGE else 1
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def _share_of_maximum(raw: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    evidence = upsample(raw, shape)
    peak = evidence.max()
    return evidence / peak if peak > 0 else np.zeros_like(evidence)
