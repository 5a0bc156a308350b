"""How concentrated a map is, as one number (this project's definition; the paper gives none)."""

import numpy as np
from numpy.typing import NDArray

TENTH = 0.1


def sharpness(raw: NDArray[np.float32]) -> float | None:
    """The share of the map's positive mass in its hottest tenth, rescaled to 0…1.

    `raw` is a map (h, w) of any scale; what is not above 0 counts as 0. The hottest tenth is that
    of the picture's area; where h·w is no multiple of ten, its last cell counts in part. The share
    less the tenth that a flat map has there, over 0.9: 0 for a flat map, 1 for a map that lies in a
    tenth of the picture or less. None without positive evidence.
    """
    positive = np.sort(np.clip(raw.astype(np.float64).ravel(), 0, None))[::-1]
    total = positive.sum()
    if total <= 0:
        return None
    cells = TENTH * positive.size
    whole = int(cells)
    hottest = positive[:whole].sum() + (cells - whole) * positive[whole]
    return float(np.clip((hottest / total - TENTH) / (1 - TENTH), 0.0, 1.0))
