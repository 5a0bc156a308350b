"""The slice: gray pixels and where they lie."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neuroscan.contracts.geometry import Geometry

GrayPixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice: `pixels` uint8 (H, W), black to white, and its geometry."""

    pixels: GrayPixels
    geometry: Geometry
