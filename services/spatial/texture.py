"""How even the lesion looks: first-order and gray-level co-occurrence features inside the region.

Co-occurrence after Haralick et al. 1973: symmetric, at one pixel in four directions, pairs with
both pixels in the region. Gray levels span the brain's own 1st to 99th percentile, so that the
picture's brightness and contrast drop out.
"""

import numpy as np
from numpy.typing import NDArray

from neuroscan.contracts.enums import Standing
from neuroscan.contracts.spatial import Texture, TextureFeatures
from services.spatial.head import Gray, Mask
from services.spatial.scene import Lesion, Scene
from services.spatial.standing import TextureParameter

LEVELS = 32
MIN_PIXELS = 30
CUT_OFFS = (0.15, 0.22, 0.32)
CATEGORIES = (
    "Homogeneous",
    "Mildly heterogeneous",
    "Moderately heterogeneous",
    "Markedly heterogeneous",
)
_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
_METHOD = (
    "coefficient of variation of the intensities in the region: below 0.15 homogeneous, to 0.22 "
    f"mildly, to 0.32 moderately, above markedly heterogeneous; entropy and co-occurrence with "
    f"{LEVELS} gray levels over the brain's range, one pixel apart in four directions"
)


def texture_features(pixels: Gray, mask: Mask, low: float, high: float) -> TextureFeatures:
    """Features of `pixels` (H, W) uint8 where `mask`; gray levels span `low` to `high`."""
    inside = pixels[mask].astype(np.float64)
    span = max(high - low, 1.0)
    levels = np.clip((pixels.astype(np.float64) - low) / span * LEVELS, 0, LEVELS - 1)
    quantized = levels.astype(np.int64)
    counts = np.bincount(quantized[mask], minlength=LEVELS) / len(inside)
    filled = counts[counts > 0]
    pairs = co_occurrence(quantized, mask)
    row, column = np.indices(pairs.shape)
    apart = np.abs(row - column)
    return TextureFeatures(
        coefficient_of_variation=float(inside.std() / max(inside.mean(), 1.0)),
        entropy_bits=float(max(0.0, -(filled * np.log2(filled)).sum())),
        contrast=float((pairs * apart**2).sum()),
        homogeneity=float((pairs / (1 + apart)).sum()),
    )


def co_occurrence(quantized: NDArray[np.int64], mask: Mask) -> NDArray[np.float64]:
    """Symmetric co-occurrence (LEVELS, LEVELS) that sums to one, or is zero without pairs."""
    pairs = np.zeros((LEVELS, LEVELS))
    height, width = mask.shape
    for down, right in _DIRECTIONS:
        here = (slice(0, height - down), slice(max(0, -right), width - max(0, right)))
        there = (slice(down, height), slice(max(0, right), width + min(0, right)))
        both = mask[here] & mask[there]
        index = quantized[here][both] * LEVELS + quantized[there][both]
        pairs += np.bincount(index, minlength=LEVELS**2).reshape(LEVELS, LEVELS)
    symmetric = pairs + pairs.T
    total = symmetric.sum()
    result: NDArray[np.float64] = symmetric / total if total else symmetric
    return result


def category_of(coefficient_of_variation: float) -> str:
    """The word for a coefficient of variation."""
    return CATEGORIES[int(np.searchsorted(CUT_OFFS, coefficient_of_variation, side="right"))]


def texture(scene: Scene, lesion: Lesion) -> TextureParameter:
    """The category with its features."""
    if lesion.mask.sum() < MIN_PIXELS:
        return TextureParameter(
            status=Standing.NOT_ASSESSABLE,
            method=_METHOD,
            reason=f"The region has fewer than {MIN_PIXELS} pixels.",
        )
    brain = scene.raster.pixels[scene.anatomy.brain] if scene.anatomy else scene.raster.pixels
    low, high = np.percentile(brain, [1, 99])
    rows, columns = np.nonzero(lesion.mask)
    crop = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    features = texture_features(
        np.ascontiguousarray(scene.pixels[crop]), lesion.mask[crop], float(low), float(high)
    )
    category = category_of(features.coefficient_of_variation)
    return TextureParameter(
        value=Texture(category=category, features=features),
        category=category,
        status=Standing.ESTIMATED,
        method=_METHOD,
        assumptions=[
            "The cut-offs are this project's own.",
            "Intensities depend on the sequence and on the picture's window.",
            lesion.about,
        ],
    )
