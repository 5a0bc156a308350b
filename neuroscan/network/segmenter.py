"""The segmentation decoder: where in a slice a tumor is, from the backbone's features and pixels.

The backbone sees the slice at its own input size and tells what is there; an input stem of the
decoder's own sees it at twice that or more and tells where the edge runs. After the U-Net
(Ronneberger et al. 2015), with additive skips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle, pixel_unshuffle

STRIDES = (2, 4, 8, 16, 32)
_CHANNELS = {"layer1[-1]": 256, "layer2[-1]": 512, "layer3[-1]": 1024, "layer4[-1]": 2048}


@dataclass(frozen=True)
class SegmenterShape:
    """What a decoder is built from.

    `input_size` is the side of the square that the stem sees, in pixels; `widths` are the channels
    at strides 2, 4, 8, 16 and 32 of it. The outputs of the backbone's `layers` join at the strides
    `joins`, one each.
    """

    input_size: int
    widths: tuple[int, ...]
    layers: tuple[str, ...]
    joins: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.widths) != len(STRIDES) or min(self.widths) < 1:
            raise ValueError(f"widths are {len(STRIDES)} numbers above 0")
        if self.input_size < 64 or self.input_size % STRIDES[-1]:
            raise ValueError(f"input_size is a multiple of {STRIDES[-1]} from 64 up")
        if len(self.layers) != len(self.joins) or set(self.joins) - set(STRIDES[1:]):
            raise ValueError(f"every layer joins at one of the strides {STRIDES[1:]}")
        if set(self.layers) - set(_CHANNELS) or len(set(self.layers)) != len(self.layers):
            raise ValueError(f"layers are among {', '.join(_CHANNELS)}, each once")


class Segmenter(nn.Module):
    """Logits (N, 1, S, S) that a pixel belongs to a tumor, S = `shape.input_size`.

    Takes normalized gray slices (N, 1, S, S) and the outputs (N, C, h, w) of the backbone's layers
    in the order of `shape.layers`, at any resolution.
    """

    def __init__(self, shape: SegmenterShape) -> None:
        super().__init__()
        self.shape = shape
        widths = shape.widths
        self.stem = nn.Sequential(_convolution(4, widths[0]), _convolution(widths[0], widths[0]))
        self.joins = nn.ModuleDict(
            {
                _key(layer): _convolution(_CHANNELS[layer], widths[STRIDES.index(stride)], 1)
                for layer, stride in zip(shape.layers, shape.joins, strict=True)
            }
        )
        self.down = nn.ModuleList(
            _convolution(before, after, stride=2) for before, after in pairwise(widths)
        )
        self.mix = nn.ModuleList(
            _convolution(width * (1 + shape.joins.count(stride)), width)
            for width, stride in zip(widths[1:], STRIDES[1:], strict=True)
        )
        self.refine = nn.ModuleList(_Residual(width) for width in widths[1:])
        self.narrow = nn.ModuleList(
            _convolution(coarse, fine, 1) for fine, coarse in pairwise(widths)
        )
        self.merge = nn.ModuleList(_Residual(width) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], 4, 1)
        # Tumors fill about a fiftieth of a slice.
        assert self.head.bias is not None
        nn.init.constant_(self.head.bias, -4.0)

    def forward(self, slices: Tensor, features: Sequence[Tensor]) -> Tensor:
        """See the class."""
        skips = [self.stem(pixel_unshuffle(slices, 2))]
        for level, stride in enumerate(STRIDES[1:]):
            hidden = self.down[level](skips[-1])
            size = (hidden.shape[-2], hidden.shape[-1])
            joined = [
                _fitted(self.joins[_key(layer)](feature), size)
                for layer, at, feature in zip(
                    self.shape.layers, self.shape.joins, features, strict=True
                )
                if at == stride
            ]
            hidden = self.mix[level](torch.cat([hidden, *joined], dim=1))
            skips.append(self.refine[level](hidden))
        hidden = skips.pop()
        for level in reversed(range(len(skips))):
            skip = skips[level]
            size = (skip.shape[-2], skip.shape[-1])
            hidden = self.merge[level](skip + _fitted(self.narrow[level](hidden), size))
        return pixel_shuffle(self.head(hidden), 2)


class _Residual(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolution(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        return torch.relu(hidden + self.second(self.first(hidden)))


def _convolution(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


def _fitted(hidden: Tensor, size: tuple[int, int]) -> Tensor:
    if hidden.shape[-2:] == size:
        return hidden
    return interpolate(hidden, size=size, mode="bilinear", align_corners=False)


def _key(layer: str) -> str:
    return layer.removesuffix("[-1]")
