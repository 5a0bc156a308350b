"""The pictures of an explanation: heat map, overlay with the regions' outlines.

Colors are scaled to the map's own maximum, for the picture only: a weak map looks as hot as a
strong one. The numbers stand in `cam.npz`.
"""

import io
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuroscan.contracts.results import Region, Regions
from services.explain.evidence import upsample

Pixels = NDArray[np.uint8]

# The map's region has a solid line and the segmentation's a dashed one, so that they are told apart
# without color too; both with a dark edge, to be seen on hot colors and on bright tissue.
MAP_RGB = (0xFF, 0xD4, 0x3B)
SEGMENTATION_RGB = (0x2D, 0xD4, 0xBF)
EDGE_RGB = (0x10, 0x10, 0x10)
# Length of a dash and of the gap after it, in line widths.
DASH, GAP = 5, 4
# Evidence below this share of the maximum fades out, so that it hides no anatomy.
OPAQUE_FROM = 0.25
OVERLAY_STRENGTH = 0.6


def heatmap(raw: NDArray[np.float32], shape: tuple[int, int]) -> Pixels:
    """The heat map in inferno colors, (H, W, 4) RGBA; transparent where there is no evidence."""
    share = _share_of_maximum(raw, shape)
    picture = np.empty((*shape, 4), np.uint8)
    for rows in _bands(shape):
        picture[rows] = _colored(share[rows])
    return picture


def overlay(pixels: Pixels, raw: NDArray[np.float32], regions: Regions) -> Pixels:
    """The slice (H, W) under its heat map with each region's outline, (H, W, 3) RGB."""
    shape = (pixels.shape[0], pixels.shape[1])
    share = _share_of_maximum(raw, shape)
    blended = np.empty((*shape, 3), np.uint8)
    for rows in _bands(shape):
        blended[rows] = _blended(pixels[rows], _colored(share[rows]))
    width = outline_thickness_px(max(pixels.shape))
    if regions.map is not None:
        _draw(blended, _outlines(regions.map), MAP_RGB, width, closed=True)
    if regions.segmentation is not None:
        dashes = [part for line in _outlines(regions.segmentation) for part in _dashed(line, width)]
        _draw(blended, dashes, SEGMENTATION_RGB, width, closed=False)
    return blended


# Each pixel takes a dozen numbers on its way into a picture: those of a band stay in the
# processor's cache, those of 32 megapixels would fill gigabytes.
_BAND_PX = 1 << 17


def _bands(shape: tuple[int, int]) -> Iterator[slice]:
    height = max(1, _BAND_PX // shape[1])
    return (slice(first, first + height) for first in range(0, shape[0], height))


def _colored(share: NDArray[np.float32]) -> Pixels:
    levels = np.round(share * 255).astype(np.uint8)
    bgr = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)
    alpha = np.round(np.clip(share / OPAQUE_FROM, 0, 1) * 255).astype(np.uint8)
    return np.dstack([bgr[..., ::-1], alpha]).astype(np.uint8)


def _blended(pixels: Pixels, heat: Pixels) -> Pixels:
    colors = heat.astype(np.float32)
    weight = colors[..., 3:] / 255 * OVERLAY_STRENGTH
    gray = pixels[..., None].astype(np.float32)
    return np.round(gray * (1 - weight) + colors[..., :3] * weight).astype(np.uint8)


def _outlines(region: Region) -> list[NDArray[np.int32]]:
    return [np.array(outline, dtype=np.int32) for outline in region.contours]


def _draw(
    picture: Pixels,
    lines: list[NDArray[np.int32]],
    color: tuple[int, int, int],
    width: int,
    *,
    closed: bool,
) -> None:
    for each, thickness in ((EDGE_RGB, width + 2), (color, width)):
        cv2.polylines(picture, lines, isClosed=closed, color=each, thickness=thickness)


def _dashed(outline: NDArray[np.int32], width: int) -> list[NDArray[np.int32]]:
    """The dashes of a closed outline (n, 2), each (m, 2); one that is too short stays whole."""
    closed = np.vstack([outline, outline[:1]]).astype(np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    # A whole number of dashes, so that the last gap is like the others.
    count = int(along[-1] // ((DASH + GAP) * width))
    if count < 2:
        return [closed.astype(np.int32)]
    begins = np.arange(count) * along[-1] / count
    length = along[-1] / count * DASH / (DASH + GAP)
    dashes = []
    for begin in begins:
        places = np.linspace(begin, begin + length, max(2, round(length)))
        points = [np.interp(places, along, closed[:, axis]) for axis in (0, 1)]
        dashes.append(np.rint(np.stack(points, axis=1)).astype(np.int32))
    return dashes


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
    if peak > 0:
        evidence /= peak
    return evidence
