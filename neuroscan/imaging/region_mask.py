"""A region's mask as one gray picture: the region, and how far it may plausibly reach.

One file instead of three, and whoever thresholds it in the middle gets the region itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

# Gray levels: outside, inside at the loosest plausible threshold, at the chosen one, at the
# tightest one.
LOOSE, CHOSEN, TIGHT = 64, 192, 255


@dataclass(frozen=True, eq=False)
class RegionMask:
    """Three nested regions (H, W): `tight` within `chosen` within `loose`.

    `tight` may be empty. Where no range is known all three are the same.
    """

    loose: Mask
    chosen: Mask
    tight: Mask

    @classmethod
    def certain(cls, mask: Mask) -> "RegionMask":
        """A region without a range, as a drawn one is."""
        return cls(mask, mask, mask)

    def picture(self) -> NDArray[np.uint8]:
        """The gray picture (H, W); nested however the three were made."""
        result = np.zeros(self.chosen.shape, np.uint8)
        result[self.loose | self.chosen] = LOOSE
        result[self.chosen] = CHOSEN
        result[self.tight & self.chosen] = TIGHT
        return result


def read_region_mask(picture: NDArray[np.uint8]) -> RegionMask:
    """The regions of a gray picture (H, W); one of 0 and 255 only has no range."""
    return RegionMask(picture >= LOOSE, picture >= CHOSEN, picture >= TIGHT)
