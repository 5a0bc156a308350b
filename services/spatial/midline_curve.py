"""The brain's own midline as a free curve near a fitted one, and what that says of its bulge.

A curve of few shapes places the septum to a millimeter or two; tissue close to the midline places
it better, once it is known roughly where to look.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# How far from the fitted curve the free one may run, and what a step aside from one row to the
# next costs beside the tissue's likeness (which is about 1 where it mirrors well).
_REACH_STEPS = 6
_STEP_COST = 0.05
_SMOOTH_ROWS = 2.0


def bulge_of_free_curve(product: Floats, energy: Floats, fitted: Floats, bulge: Floats) -> float:
    """The height of `bulge` (rows) that fits the free curve best, in steps.

    `product` and `energy` (rows, 2 n + 1 steps) are mirror products and energies at each place from
    n steps left of the head's axis to n steps right of it; `fitted` (rows) is the curve to begin
    with, in steps from the axis. The free curve is taken to be a straight line plus the bulge.
    """
    curve = free_curve(product, energy, fitted)
    along = np.linspace(0, 1, len(curve))
    shapes = np.stack([1 - along, along, bulge], axis=1)
    heights, *_ = np.linalg.lstsq(shapes, curve, rcond=None)
    return float(heights[2])


def free_curve(product: Floats, energy: Floats, fitted: Floats) -> Floats:
    """The path (rows), in steps from the axis, along which the tissue mirrors best.

    By dynamic programming over all paths within reach of the fitted curve.
    """
    likeness = _smoothed(product) / (float(_smoothed(energy).mean()) + 1e-6)
    middle = product.shape[1] // 2
    offsets = np.arange(-_REACH_STEPS, _REACH_STEPS + 1)
    places = np.rint(fitted).astype(np.int64)[:, None] + offsets
    gain = np.take_along_axis(likeness, np.clip(places + middle, 0, 2 * middle), axis=1)
    reached = gain[0]
    came_from = np.zeros(gain.shape, np.int64)
    for row in range(1, len(gain)):
        aside = places[row][:, None] - places[row - 1][None, :]
        score = reached[None, :] - _STEP_COST * aside**2
        came_from[row] = score.argmax(axis=1)
        reached = gain[row] + score.max(axis=1)
    index = int(reached.argmax())
    path = np.empty(len(gain))
    for row in range(len(gain) - 1, -1, -1):
        path[row] = places[row, index]
        index = int(came_from[row, index])
    return _smoothed(path[:, None])[:, 0]


def _smoothed(values: Floats) -> Floats:
    """Rows (n, m) blurred along their columns; the ends are repeated."""
    reach = int(3 * _SMOOTH_ROWS)
    weight = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _SMOOTH_ROWS) ** 2)
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    rows = len(values)
    parts = [share * padded[at : at + rows] for at, share in enumerate(weight / weight.sum())]
    result: Floats = np.sum(parts, axis=0)
    return result
