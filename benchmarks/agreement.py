"""A region and the parameters measured from it, held against an annotated tumor."""

from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray

from neuroscan.contracts.enums import Laterality, Plane, SpacingSource
from neuroscan.contracts.geometry import Geometry
from neuroscan.imaging.region_mask import Mask, RegionMask
from services.spatial.dimensions import extent_of
from services.spatial.hemisphere import image_side
from services.spatial.scene import survey

Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class Size:
    """What a mask measures: area, longest chord with its range, side in the picture.

    `offset_px` is positive where the centroid lies right of the midline; `lateralized` says that it
    lies more than 10 mm from it.
    """

    area_mm2: float
    longest_mm: float
    longest_range_mm: tuple[float, float]
    offset_px: float
    lateralized: bool


@dataclass(frozen=True)
class Held:
    """A region beside the annotated tumor of one slice.

    `side_right` says that both centroids lie on the same side of the midline.
    Errors are found less annotated; in percent of the annotated value for area and longest chord.
    """

    peak_inside: bool
    dice: float
    centroid_mm: float
    area: tuple[float, float]
    longest: tuple[float, float]
    range_holds: bool
    side_right: bool

    @property
    def area_error(self) -> float:
        """In percent of the annotated area."""
        return 100 * (self.area[1] / self.area[0] - 1)

    @property
    def longest_error(self) -> float:
        """In percent of the annotated longest chord."""
        return 100 * (self.longest[1] / self.longest[0] - 1)


def size_of(pixels: Gray, region: RegionMask, plane: str | None, pixel_mm: float) -> Size:
    """What the spatial analysis says of a region (H, W) that is not empty."""
    scene = survey(
        pixels,
        region,
        Geometry(
            row_mm=pixel_mm,
            column_mm=pixel_mm,
            source=SpacingSource.REQUEST,
            plane=Plane(plane) if plane else None,
            plane_confidence=1.0 if plane else None,
        ),
    )
    assert scene.lesion is not None
    extent = extent_of(scene, scene.lesion)
    assert extent is not None
    side = image_side(scene, scene.lesion)
    return Size(
        area_mm2=float(region.chosen.sum()) * pixel_mm**2,
        longest_mm=extent.chosen.longest_mm,
        longest_range_mm=(extent.low.longest_mm, extent.high.longest_mm),
        offset_px=side.offset_px,
        lateralized=side.image is not Laterality.CROSSES,
    )


def hold(
    pixels: Gray,
    truth: Mask,
    annotated: Size,
    region: RegionMask,
    peak: tuple[int, int],
    plane: str | None,
    pixel_mm: float,
) -> Held:
    """Hold a region against the tumor `truth` (H, W); `peak` is (row, column)."""
    found = size_of(pixels, region, plane, pixel_mm)
    low, high = found.longest_range_mm
    one, other = center(truth), center(region.chosen)
    return Held(
        peak_inside=bool(truth[peak]),
        dice=dice(region.chosen, truth),
        centroid_mm=pixel_mm * hypot(one[0] - other[0], one[1] - other[1]),
        area=(annotated.area_mm2, found.area_mm2),
        longest=(annotated.longest_mm, found.longest_mm),
        range_holds=low <= annotated.longest_mm <= high,
        side_right=found.offset_px * annotated.offset_px > 0,
    )


def dice(one: Mask, other: Mask) -> float:
    """Dice coefficient of two masks (H, W), not both empty."""
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def center(mask: Mask) -> tuple[float, float]:
    """Centroid (row, column) in pixels."""
    rows, columns = np.nonzero(mask)
    return float(rows.mean()), float(columns.mean())
