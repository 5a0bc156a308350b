"""The region of a map, as the contract has it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from neuroscan.contracts.results import Region
from services.explain.evidence import Mask, region_mask, upsample


@dataclass(frozen=True, eq=False)
class FoundRegion:
    """A region as the contract has it, and as a mask (H, W)."""

    region: Region
    mask: Mask


def find_region(
    raw: NDArray[np.float32], shape: tuple[int, int], fraction: float
) -> FoundRegion | None:
    """The connected region around the map's peak where it reaches `fraction` of its maximum.

    `raw` is a map (h, w) and `shape` the slice's (H, W). None where nothing speaks for the class.
    """
    mask = region_mask(upsample(raw, shape), fraction)
    return None if mask is None else FoundRegion(region=region_of(mask), mask=mask)


def region_of(mask: Mask) -> Region:
    """The contract's description of a mask (H, W) that has at least one pixel.

    `contours` are outer outlines, the one with the largest area first.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    ordered = sorted(found, key=lambda outline: -cv2.contourArea(outline))
    contours = [[(int(x), int(y)) for x, y in outline.reshape(-1, 2)] for outline in ordered]
    return Region(
        bbox=(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1),
        area_px=int(mask.sum()),
        contour=contours[0],
        contours=contours,
    )
