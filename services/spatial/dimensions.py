"""Longest chord, longest perpendicular chord, third axis, area and volume of a region."""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from neuroscan.contracts.enums import Plane, Standing, TumorClass
from services.spatial.head import Mask, largest_component
from services.spatial.scene import Lesion, Scene
from services.spatial.standing import DimensionsParameter, NumberParameter

_GRID_PX = 320
# One pixel of the coarser grid is up to 0.8 % of a small region's chord.
_FINE_GRID_PX = 640
_PAD_PX = 4
_SMOOTHING_PX = 1.0
_OUTLINE_POINTS = 240
_CHORD_SAMPLES = 64
_CHORDS_AT_ONCE = 256
_NEARLY_LONGEST = 0.985

# How the method of a glioma's dimensions begins on an axial slice.
RANO = "RANO-style: "
_CHORDS = "longest chord inside the region's outline, longest chord perpendicular to it"
_VOLUME = (
    "ellipsoid: volume = π/6·a·b·c with c = √(a·b); range for c from b to a, the region's tightest "
    "and loosest plausible outline, and the spacing's error"
)

_AREA = "Measured area on this slice: {:.0f} mm² ({:.0f} to {:.0f})."
_CONTRAST = "RANO measures on T1-weighted slices after contrast; the picture may be another."


@dataclass(frozen=True)
class Shape:
    """Chords in mm and area in mm²."""

    longest_mm: float
    perpendicular_mm: float
    area_mm2: float

    @property
    def third_mm(self) -> float:
        """The axis that the slice doesn't show: the geometric mean of the other two."""
        return sqrt(self.longest_mm * self.perpendicular_mm)


@dataclass(frozen=True)
class Extent:
    """The region's shape, and the shapes at the ends of its range, spacing error included."""

    chosen: Shape
    low: Shape
    high: Shape


_NOTHING = Shape(0.0, 0.0, 0.0)


def extent_of(scene: Scene, lesion: Lesion) -> Extent | None:
    """The shape with its range; None when the spacing is unknown.

    Each end of a chord is known to half a pixel at best, whatever the range.
    """
    row_mm, column_mm = scene.scale.row_mm, scene.scale.column_mm
    if row_mm is None or column_mm is None:
        return None
    masks, pixel_mm, error = lesion.masks, max(row_mm, column_mm), scene.scale.error
    chosen = shape_of(masks.chosen, row_mm, column_mm)
    tight = shape_of(masks.tight, row_mm, column_mm) if masks.tight.any() else _NOTHING
    loose = shape_of(masks.loose, row_mm, column_mm)
    return Extent(
        chosen=chosen,
        low=_reached(min, chosen, tight, -pixel_mm, 1 - error),
        high=_reached(max, chosen, loose, pixel_mm, 1 + error),
    )


def _reached(
    pick: Callable[[float, float], float], chosen: Shape, other: Shape, by_mm: float, scale: float
) -> Shape:
    """The further of two shapes, its chords longer by `by_mm`, everything scaled."""
    # A rim of half a pixel, with the circumference of an ellipse of these axes, roughly.
    rim_mm2 = pi / 4 * (chosen.longest_mm + chosen.perpendicular_mm) * by_mm
    return Shape(
        max(0.0, pick(chosen.longest_mm, other.longest_mm) + by_mm) * scale,
        max(0.0, pick(chosen.perpendicular_mm, other.perpendicular_mm) + by_mm) * scale,
        max(0.0, pick(chosen.area_mm2, other.area_mm2) + rim_mm2) * scale**2,
    )


def shape_of(mask: Mask, row_mm: float, column_mm: float) -> Shape:
    """Measure the largest component of `mask` (H, W), which is not empty.

    `row_mm` and `column_mm` are distances between rows and between columns. The area is that of
    the whole mask.
    """
    largest = largest_component(mask)
    assert largest is not None
    upright, grid_mm = _redrawn(largest, row_mm, column_mm, 0.0, _GRID_PX)
    longest_px, angle = longest_chord(upright)
    turned, turned_mm = _redrawn(largest, row_mm, column_mm, angle, _FINE_GRID_PX)
    longest_mm = longest_px * grid_mm
    perpendicular_mm = min(longest_mm, _longest_run(turned) * turned_mm)
    area_mm2 = float(mask.sum()) * row_mm * column_mm
    return Shape(longest_mm, perpendicular_mm, area_mm2)


def longest_chord(mask: Mask) -> tuple[float, float]:
    """Length in pixels and angle (radians) of the longest chord inside `mask` (h, w), not empty.

    All pairs of outline points are tried from the longest down until one lies inside. Points are
    pixel centers, so half a pixel is added at both ends. The angle is the mean over all chords
    that come within 1.5 % of the longest: a nearly round region has many, and a pixel decides
    which of them wins.
    """
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max((np.asarray(item, np.int32).reshape(-1, 2) for item in outlines), key=len)
    step = -(-len(outline) // _OUTLINE_POINTS)
    first, second = np.triu_indices(len(outline[::step]))
    begin, end = _longest_inside(mask, outline, first * step, second * step)
    # The outline was thinned: look again, at every point near the two that were found.
    near = np.arange(-step, step + 1)
    first, second = (part.ravel() for part in np.meshgrid(begin + near, end + near))
    begin, end = _longest_inside(mask, outline, first % len(outline), second % len(outline))
    length = float(np.hypot(*(outline[end] - outline[begin]).astype(np.float64)))
    return length + 1, _mean_angle(mask, outline[::step], _NEARLY_LONGEST * length)


def _mean_angle(mask: Mask, points: NDArray[np.int32], at_least: float) -> float:
    """The mean direction (axial, so of doubled angles) of the chords inside that are so long."""
    first, second = np.triu_indices(len(points))
    across = (points[second] - points[first]).astype(np.float64)
    long = np.flatnonzero(np.hypot(across[:, 0], across[:, 1]) >= at_least)
    long = long[_inside(mask, points[first[long]], points[second[long]])]
    doubled = 2 * np.arctan2(across[long, 1], across[long, 0])
    return float(np.arctan2(np.sin(doubled).sum(), np.cos(doubled).sum()) / 2)


def _longest_inside(
    mask: Mask, outline: NDArray[np.int32], first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[int, int]:
    """The pair (of `first`, `second`, indices into `outline`) of the longest chord inside."""
    across = (outline[second] - outline[first]).astype(np.float64)
    order = np.argsort(-np.hypot(across[:, 0], across[:, 1]), kind="stable")
    chosen = int(order[-1])
    for some in np.array_split(order, max(1, len(order) // _CHORDS_AT_ONCE)):
        inside = _inside(mask, outline[first[some]], outline[second[some]])
        if inside.any():
            chosen = int(some[int(np.argmax(inside))])
            break
    return int(first[chosen]), int(second[chosen])


def dimensions(
    scene: Scene, lesion: Lesion, extent: Extent | None, label: TumorClass
) -> DimensionsParameter:
    """`[a, b, c]` in mm: longest, longest perpendicular to it, √(a·b)."""
    method = _CHORDS + "; third axis √(a·b)"
    if label is TumorClass.GLIOMA and scene.plane is Plane.AXIAL:
        method = RANO + method
    if extent is None:
        return DimensionsParameter(
            status=Standing.NOT_ASSESSABLE, method=method, reason=scene.scale.reason
        )
    chosen, low, high = extent.chosen, extent.low, extent.high
    low_a, high_a = low.longest_mm, high.longest_mm
    low_b, high_b = low.perpendicular_mm, high.perpendicular_mm
    assumptions = [lesion.about, *scene.scale.assumptions]
    if label is TumorClass.GLIOMA and scene.plane is Plane.AXIAL:
        assumptions.append(_CONTRAST)
    else:
        assumptions.append("The longest extent is that of this slice, not of the tumor.")
    return DimensionsParameter(
        value=(chosen.longest_mm, chosen.perpendicular_mm, chosen.third_mm),
        unit="mm",
        status=Standing.ESTIMATED,
        method=method,
        assumptions=assumptions,
        # What the slice doesn't show lies anywhere between its two chords.
        range=((low_a, high_a), (low_b, high_b), (low_b, high_a)),
    )


def volume(scene: Scene, lesion: Lesion, extent: Extent | None) -> NumberParameter:
    """Volume in cm³ of an ellipsoid with the two chords and a third axis between them."""
    if extent is None:
        return NumberParameter(
            status=Standing.NOT_ASSESSABLE, method=_VOLUME, reason=scene.scale.reason
        )
    chosen, low, high = extent.chosen, extent.low, extent.high
    factor = pi / 6 / 1000
    return NumberParameter(
        value=factor * chosen.longest_mm * chosen.perpendicular_mm * chosen.third_mm,
        unit="cm³",
        status=Standing.ESTIMATED,
        method=_VOLUME,
        assumptions=[
            "One slice shows two axes of the tumor; the third is assumed.",
            _AREA.format(*(shape.area_mm2 for shape in (chosen, low, high))),
            lesion.about,
            *scene.scale.assumptions,
        ],
        range=(
            factor * low.longest_mm * low.perpendicular_mm**2,
            factor * high.longest_mm**2 * high.perpendicular_mm,
        ),
    )


def _inside(mask: Mask, begin: NDArray[np.int32], end: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which of the chords (n, 2) stay inside, but for single samples that graze the outline."""
    shares = np.linspace(0, 1, _CHORD_SAMPLES)[None, :, None]
    samples = np.rint(begin[:, None, :] * (1 - shares) + end[:, None, :] * shares).astype(np.int64)
    result: NDArray[np.bool_] = (
        mask[samples[:, :, 1], samples[:, :, 0]].mean(axis=1) > 1 - 1.5 / _CHORD_SAMPLES
    )
    return result


def _redrawn(
    mask: Mask, row_mm: float, column_mm: float, angle: float, side_px: int
) -> tuple[Mask, float]:
    """The component turned by -`angle` on a finer grid of square pixels, and their size in mm.

    Smoothing before the threshold gives the outline back what pixels took from it: without it
    every chord would end at the one pixel that sticks out most.
    """
    rows, columns = np.nonzero(mask)
    x, y = columns * column_mm, rows * row_mm
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    margin = 3 * max(row_mm, column_mm)
    reach = max(float(np.ptp(along)), float(np.ptp(across))) + 2 * margin
    grid_mm = reach / (side_px - 1)
    top, left = max(0, int(rows.min()) - _PAD_PX), max(0, int(columns.min()) - _PAD_PX)
    crop = mask[top : int(rows.max()) + 1 + _PAD_PX, left : int(columns.max()) + 1 + _PAD_PX]
    padded = np.pad(crop, _PAD_PX).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(padded, (0, 0), _SMOOTHING_PX))
    # From grid pixels to pixels of `padded`, as warpAffine wants it with WARP_INVERSE_MAP.
    cos, sin = grid_mm * np.cos(angle), grid_mm * np.sin(angle)
    # The component in the middle of the grid, so that its mirror image gets a mirrored grid.
    low_along, low_across = (
        (float(part.min()) + float(part.max()) - reach) / 2 for part in (along, across)
    )
    corner_x = low_along * np.cos(angle) - low_across * np.sin(angle)
    corner_y = low_along * np.sin(angle) + low_across * np.cos(angle)
    matrix = np.array(
        [
            [cos / column_mm, -sin / column_mm, corner_x / column_mm - left + _PAD_PX],
            [sin / row_mm, cos / row_mm, corner_y / row_mm - top + _PAD_PX],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    drawn = np.asarray(cv2.warpAffine(soft, matrix, (side_px, side_px), flags=flags))
    return drawn >= min(0.5, 0.5 * float(drawn.max())), grid_mm


def _longest_run(upright: Mask) -> int:
    """The longest run of set pixels in any column."""
    height = len(upright)
    row = np.arange(1, height + 1, dtype=np.int16)[:, None]
    last_gap = np.maximum.accumulate(np.where(upright, np.int16(0), row), axis=0)
    return int(np.where(upright, row - last_gap, 0).max())
