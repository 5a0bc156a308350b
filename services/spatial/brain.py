"""How large the head is in a slice, and an estimate of the brain inside it.

Works on the canonical working raster: axial slices with the forehead up, coronal and sagittal
ones with the vertex up.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from neuroscan.contracts.enums import Plane
from services.spatial.head import Gray, Mask, extent_of, largest_component

# Where the head's size is read, as a share of that size below the vertex: above the ears on
# coronal slices, above the nose on sagittal ones.
_READ_DOWN_TO = {Plane.CORONAL: 0.62, Plane.SAGITTAL: 0.52}
# The lowest brain on a sagittal slice that faces left: (from the forehead, below the vertex), as
# shares of the head's length: orbital roof, temporal pole, brain stem, cerebellum, occiput.
_SAGITTAL_FLOOR = ((0.0, 0.48), (0.3, 0.56), (0.5, 0.68), (0.75, 0.74), (1.0, 0.58))
_CORONAL_FLOOR = 0.9
_ANGLES = 180
_SCALP_AND_SKULL = 0.08


@dataclass(frozen=True)
class HeadSize:
    """The head's breadth (axial, coronal) or length (sagittal) in working pixels.

    `top` is the first row of the head, `left` and `right` the columns between which the size was
    read; `cut` says that the picture's border cuts the head there, so that the size is a bound.
    """

    size_px: float
    top: int
    left: int
    right: int
    cut: bool


def head_size(head: Mask, plane: Plane | None, tilt_deg: float = 0.0) -> HeadSize:
    """Read the head's size across the picture; `tilt_deg` is the midline's tilt.

    Ears and nose are removed by an opening. An unknown plane is read like an axial one.
    """
    box = extent_of(head)
    radius = max(2, round(0.07 * box.width))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    padded = cv2.copyMakeBorder(
        head.astype(np.uint8), radius, radius, radius, radius, cv2.BORDER_REPLICATE
    )
    opened = np.asarray(cv2.morphologyEx(padded, cv2.MORPH_OPEN, kernel))
    smooth = largest_component(opened[radius:-radius, radius:-radius].astype(bool))
    smooth = head if smooth is None else smooth
    limit = _READ_DOWN_TO.get(plane) if plane else None
    part = _rows_above(smooth, limit) if limit else smooth
    area = extent_of(part)
    cut = _is_cut(part, area.width)
    size = float(area.width)
    if limit is None and abs(tilt_deg) > 1:
        size = _width_across(part, tilt_deg)
    return HeadSize(size, box.y0, area.x0, area.x1, cut)


def cranium_mask(head: Mask, size: HeadSize, plane: Plane | None, faces_left: bool | None) -> Mask:
    """The part of the head (h, w) that holds the brain: without face and neck; never empty.

    Coronal and sagittal slices are cut where the brain usually ends below; others are left whole.
    """
    cranium = largest_component(head & _floor(head.shape, size, plane, faces_left))
    return head if cranium is None else cranium


def brain_mask(pixels: Gray, cranium: Mask, size_px: float) -> Mask:
    """An estimate of the brain, bool (h, w); never empty. `size_px` is the head's size.

    From the middle of the cranium rays run outwards; on each the way through scalp and skull is
    where a dark ring turns into brain, chosen on all rays at once by dynamic programming with a
    pull towards the usual depth (8 % of the head's size).
    """
    here = _shell_depth(pixels, cranium, _middle(cranium), size_px)
    # The same of the mirror image, so that a slice and its mirror image get mirrored brains.
    flipped = np.ascontiguousarray(pixels[:, ::-1])
    flipped_cranium = np.ascontiguousarray(cranium[:, ::-1])
    there = _shell_depth(flipped, flipped_cranium, _middle(flipped_cranium), size_px)
    brain = largest_component(cranium & here & there[:, ::-1])
    return cranium if brain is None else brain


def _rows_above(mask: Mask, share: float) -> Mask:
    """The rows from the vertex down to `share` of the size that is read in them."""
    box = extent_of(mask)
    width = float(box.width)
    part = mask
    for _ in range(4):
        last = max(box.y0 + 2, min(box.y1, round(box.y0 + share * width)))
        part = mask.copy()
        part[last:] = False
        width = float(extent_of(part).width)
    return part


def _is_cut(part: Mask, width: int) -> bool:
    touches_left, touches_right = int(part[:, 0].sum()), int(part[:, -1].sum())
    both = touches_left > 0 and touches_right > 0
    return both or max(touches_left, touches_right) > 0.25 * width


def _width_across(mask: Mask, tilt_deg: float) -> float:
    rows, columns = np.nonzero(mask)
    tilt = np.deg2rad(tilt_deg)
    across = columns * np.cos(tilt) + rows * np.sin(tilt)
    return float(across.max() - across.min() + 1)


def _floor(
    shape: tuple[int, ...], size: HeadSize, plane: Plane | None, faces_left: bool | None
) -> Mask:
    height, width = shape[0], shape[1]
    rows = np.arange(height)[:, None]
    if plane is Plane.CORONAL:
        middle, half = (size.left + size.right) / 2, size.size_px / 2
        offset = np.clip(np.abs(np.arange(width) - middle) / half, 0, 1)
        # Rounded below: the temporal lobes end above the middle of the cerebellum.
        lowest = size.top + size.size_px * (_CORONAL_FLOOR - 0.25 * offset**3)
    elif plane is Plane.SAGITTAL:
        along = (np.arange(width) - size.left) / size.size_px
        shares, depths = np.array(_SAGITTAL_FLOOR).T
        depth = np.interp(along, shares, depths)
        mirrored = np.interp(1 - along, shares, depths)
        if faces_left is None:
            depth = np.minimum(depth, mirrored)
        lowest = size.top + size.size_px * (mirrored if faces_left is False else depth)
    else:
        lowest = np.full(width, float(height))
    result: Mask = rows < lowest[None, :]
    return result


def _middle(cranium: Mask) -> tuple[float, float]:
    moments = cv2.moments(cranium.astype(np.uint8), binaryImage=True)
    area = max(moments["m00"], 1.0)
    return moments["m10"] / area, moments["m01"] / area


def _shell_depth(pixels: Gray, cranium: Mask, center: tuple[float, float], size: float) -> Mask:
    """True inside the inner border of scalp and skull."""
    height, width = cranium.shape
    reach = float(np.hypot(height, width))
    samples = int(reach)
    polar_size = (samples, _ANGLES)
    mode = cv2.WARP_POLAR_LINEAR | cv2.WARP_FILL_OUTLIERS
    smooth = cv2.GaussianBlur(pixels, (0, 0), 1.0).astype(np.float32)
    light = np.asarray(
        cv2.warpPolar(smooth, polar_size, center, reach, cv2.INTER_LINEAR | mode), np.float32
    )
    covered = np.asarray(
        cv2.warpPolar(cranium.astype(np.uint8), polar_size, center, reach, cv2.INTER_NEAREST | mode)
    )
    edge = samples - 1 - np.argmax(covered[:, ::-1] > 0, axis=1)
    tissue = float(np.median(pixels[cranium])) + 1.0
    depths = np.arange(max(2, round(0.035 * size)), max(6, round(0.16 * size)))
    radius = np.clip(edge[:, None] - depths[None, :], 1, samples - 2)
    ray = np.arange(_ANGLES)[:, None]
    # Brain inwards of the border and bone outwards of it: the darkest of either stretch. Scalp
    # has bone inwards of it, so its own outer border doesn't count.
    inwards = _darkest(light, max(3, round(0.07 * size)), outwards=False)[ray, radius - 1]
    outwards = _darkest(light, max(2, round(0.02 * size)), outwards=True)[ray, radius + 1]
    rise = (inwards - outwards) / tissue
    usual = (depths - _SCALP_AND_SKULL * size) / (0.05 * size)
    cost = -np.clip(rise, -0.5, 0.8) + 0.12 * usual[None, :] ** 2
    chosen = depths[_smoothest(cost)]
    inner = np.maximum(edge - chosen, 1)
    angles = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    outline = np.stack(
        [center[0] + inner * np.cos(angles), center[1] + inner * np.sin(angles)], axis=1
    )
    shell = np.zeros((height, width), np.uint8)
    cv2.fillPoly(shell, [np.round(outline).astype(np.int32)], 1)
    return shell.astype(bool)


def _darkest(light: NDArray[np.float32], stretch: int, *, outwards: bool) -> NDArray[np.float32]:
    """The least light on the `stretch` samples that begin at each sample of each ray."""
    kernel = np.ones((1, stretch), np.uint8)
    anchor = (0, 0) if outwards else (stretch - 1, 0)
    return np.asarray(cv2.erode(light, kernel, anchor=anchor), np.float32)


def _smoothest(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """The column of each row of least total cost, neighboring rows at most two columns apart.

    The rows are a circle: the walk starts a quarter turn early, so that its end agrees with its
    beginning.
    """
    lead = len(cost) // 4
    walk = np.concatenate([cost[-lead:], cost, cost[:lead]])
    total = walk[0].copy()
    came_from = np.zeros(walk.shape, np.int64)
    columns = np.arange(walk.shape[1])
    for row in range(1, len(walk)):
        options = np.full((5, walk.shape[1]), np.inf)
        for index, step in enumerate((-2, -1, 0, 1, 2)):
            source = columns + step
            valid = (source >= 0) & (source < len(columns))
            options[index, valid] = total[source[valid]] + 0.06 * step * step
        best = options.argmin(axis=0)
        came_from[row] = columns + best - 2
        total = options[best, columns] + walk[row]
    path = np.zeros(len(walk), np.int64)
    path[-1] = int(total.argmin())
    for row in range(len(walk) - 1, 0, -1):
        path[row - 1] = came_from[row, path[row]]
    return path[lead : lead + len(cost)]
