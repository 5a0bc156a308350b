"""A slice's pixels → the network's input, as the bundle says; the same in every service.

Both interpolations are separable, so each is two matrix products with the weights of one axis.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

AREA = "square, area"
BILINEAR = "square, bilinear"


@dataclass(frozen=True)
class Preprocessing:
    """Size, interpolation and normalization; the defaults are the paper's.

    The whole slice is stretched to a square of `input_size` pixels. `area` averages the source
    pixels that a target pixel covers, `bilinear` weighs them with a triangle as wide as the
    reduction (antialiased); an axis that grows is interpolated linearly by both.
    """

    input_size: int = 224
    resize: str = BILINEAR
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    grayscale: bool = True

    def __post_init__(self) -> None:
        if self.resize not in (AREA, BILINEAR):
            raise ValueError(f"resize must be {AREA!r} or {BILINEAR!r}, not {self.resize!r}")
        if self.input_size < 32:
            raise ValueError("input_size must be at least 32 pixels")
        if not self.grayscale:
            raise ValueError("only grayscale networks are known")
        if min(self.std) <= 0:
            raise ValueError("every std must be above 0")


def preprocess(pixels: NDArray[np.uint8], spec: Preprocessing) -> Tensor:
    """The network's input (1, 3, S, S), float32, of a slice (H, W), uint8.

    Raises `ValueError` for an array of another shape or type.
    """
    return preprocess_tensor(slice_tensor(pixels), spec)


def slice_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """The slice (H, W) as a tensor of the same type; raises `ValueError`, see `preprocess`."""
    if pixels.ndim != 2 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ValueError(f"a slice is (H, W) uint8, not {pixels.shape} {pixels.dtype}")
    return torch.from_numpy(np.ascontiguousarray(pixels))


def preprocess_tensor(pixels: Tensor, spec: Preprocessing) -> Tensor:
    """The network's input (1, 3, S, S), float32, of a slice (H, W), on the slice's device."""
    unit = resize_square(pixels.float(), spec) / 255
    mean, std = _normalization(spec, pixels.device)
    return ((unit - mean) / std).unsqueeze(0)


def resize_square(image: Tensor, spec: Preprocessing) -> Tensor:
    """The image (H, W), float32, stretched to (S, S)."""
    rows = _weights_on(image.device, image.shape[0], spec.input_size, spec.resize)
    columns = _weights_on(image.device, image.shape[1], spec.input_size, spec.resize)
    return rows @ image @ columns.T


@lru_cache(maxsize=8)
def _normalization(spec: Preprocessing, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, (3, 1, 1) each."""
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (spec.mean, spec.std))
    return mean.to(device), std.to(device)


@lru_cache(maxsize=64)
def _weights_on(device: torch.device, source: int, target: int, resize: str) -> Tensor:
    return _weights(source, target, resize).to(device)


def _weights(source: int, target: int, resize: str) -> Tensor:
    """(target, source) float32; each row sums to 1. Pixel i covers [i, i + 1)."""
    scale = source / target
    if resize == AREA and scale > 1:
        low = np.arange(target)[:, None] * scale
        cells = np.arange(source)[None, :]
        weights = np.clip(np.minimum(low + scale, cells + 1) - np.maximum(low, cells), 0, None)
    else:
        center = (np.arange(target)[:, None] + 0.5) * scale
        distance = np.abs(np.arange(source)[None, :] + 0.5 - center) / max(scale, 1.0)
        weights = np.clip(1 - distance, 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    return torch.from_numpy(weights.astype(np.float32))
