"""Smooth random textures."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def smooth_noise(
    shape: tuple[int, ...], sigma_px: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Gaussian-filtered white noise with unit deviation."""
    noise: NDArray[np.float64] = ndimage.gaussian_filter(rng.normal(size=shape), sigma_px)
    return noise / float(noise.std())
