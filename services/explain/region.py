"""The regions of an explanation, the map's and the segmentation's, and what they say together."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from neuroscan.contracts.enums import RegionSource, TumorClass
from neuroscan.contracts.results import Region
from neuroscan.imaging.region_mask import RegionMask
from services.explain.evidence import Mask, region_mask, upsample

# A map's threshold counts as no better known than by this factor, up and down.
_LOOSER, _TIGHTER = 0.75, 1.25
# Below this Dice coefficient the two regions lie in different places, or one is a small part of
# the other.
LOW_OVERLAP = 0.1

ELSEWHERE = (
    "The heat map and the segmentation disagree: the network's evidence lies mostly outside the "
    "region that the segmentation drew."
)
NOTHING_SEGMENTED = (
    "The segmentation finds no tumor in this slice, although it is classified as {label}; the "
    "region is the heat map's."
)
FAINT = (
    "The segmentation alone would not be sure of a tumor here: its faint region is drawn since the "
    "slice is classified as {label}."
)
SEGMENTED_ALL_THE_SAME = (
    "The segmentation draws a region, although the slice is classified as no tumor."
)


@dataclass(frozen=True, eq=False)
class FoundRegion:
    """A region as the contract has it, and as masks (H, W) with its plausible range.

    `faint` says that only the slice's class makes it believable.
    """

    region: Region
    masks: RegionMask
    faint: bool = False


@dataclass(frozen=True, eq=False)
class FoundRegions:
    """The region of each source, where there is one."""

    map: FoundRegion | None
    segmentation: FoundRegion | None

    @property
    def chosen(self) -> FoundRegion | None:
        """What the parameters are measured from: the segmentation's where there is one."""
        return self.segmentation or self.map

    @property
    def source(self) -> RegionSource | None:
        """Whose region `chosen` is."""
        if self.segmentation is not None:
            return RegionSource.SEGMENTATION
        return None if self.map is None else RegionSource.MAP

    @property
    def overlap(self) -> float | None:
        """Dice coefficient of the two regions, where both exist."""
        if self.map is None or self.segmentation is None:
            return None
        one, other = self.map.masks.chosen, self.segmentation.masks.chosen
        return 2 * int((one & other).sum()) / int(one.sum() + other.sum())

    def disagreement(self, label: TumorClass, *, segmented: bool) -> str | None:
        """What does not fit together, in a sentence; `segmented` says that a decoder ran."""
        if not segmented:
            return None
        if label is TumorClass.NO_TUMOR:
            return None if self.segmentation is None else SEGMENTED_ALL_THE_SAME
        if self.segmentation is None:
            return NOTHING_SEGMENTED.format(label=label.value)
        overlap = self.overlap
        if overlap is not None and overlap < LOW_OVERLAP:
            return ELSEWHERE
        return FAINT.format(label=label.value) if self.segmentation.faint else None


def find_region(
    raw: NDArray[np.float32], shape: tuple[int, int], fraction: float
) -> FoundRegion | None:
    """The connected region around the map's peak where it reaches `fraction` of its maximum.

    `raw` is a map (h, w) and `shape` the slice's (H, W). None where nothing speaks for the class.
    """
    evidence = upsample(raw, shape)
    chosen = region_mask(evidence, fraction)
    if chosen is None:
        return None
    loose = region_mask(evidence, _LOOSER * fraction)
    tight = region_mask(evidence, min(_TIGHTER * fraction, 1.0))
    assert loose is not None
    assert tight is not None
    return found_region(RegionMask(loose, chosen, tight))


def found_region(masks: RegionMask, *, faint: bool = False) -> FoundRegion:
    """The contract's description beside the masks."""
    return FoundRegion(region=region_of(masks.chosen), masks=masks, faint=faint)


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
