"""From a raw map to a mask in the slice: upsample, threshold, keep what holds the peak.

Apart from the contracts, so that training can measure the same maps without pydantic.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


def upsample(raw: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """The positive part of a raw map at the slice's size (H, W), bilinear, in the map's own unit.

    The network saw the whole slice stretched to a square, so the map is stretched back.
    """
    positive = np.maximum(raw, 0)
    resized = cv2.resize(positive, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.float32)


def region_mask(evidence: NDArray[np.float32], fraction: float) -> Mask | None:
    """The connected pixels around the peak that reach `fraction` of the maximum, (H, W).

    `evidence` is an upsampled map (H, W), nowhere below 0. Pixels that touch at a corner are
    connected. None where nothing speaks for the class.
    """
    peak = float(evidence.max())
    if peak <= 0:
        return None
    above = (evidence >= fraction * peak).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    # Several pixels can share the maximum: then the largest of their components.
    candidates = np.unique(labels[evidence == peak])
    chosen = max(candidates, key=lambda label: int(stats[label, cv2.CC_STAT_AREA]))
    return np.asarray(labels == chosen)
