"""Every method at every layer from one forward and one backward pass, and what they are held to.

`services.explain.cam.explain` gives the same maps one at a time; a test holds the two together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision.models import ResNet

from neuroscan.network.bundle import METHODS
from neuroscan.network.layers import split_at
from services.explain.cam import SUM, FloatMap, raw_map, summed

# From the last layer to the finest one; and what is worth adding up.
LAYERS = ("layer4[-1]", "layer3[-1]", "layer2[-1]")
SUMS = ("layer2[-1]+layer3[-1]",)

GAUSSIAN, GRADIENT = "centered Gaussian", "input gradient"
# As wide as a tumor may lie from the middle; smoothing as gradients are usually shown.
_GAUSSIAN_WIDTH, _GRADIENT_BLUR_PX = 0.2, 2.0


@dataclass(frozen=True)
class Row:
    """A way to get a map: a method at a layer or sum of layers, or a baseline without a layer."""

    method: str
    layer: str

    @property
    def baseline(self) -> bool:
        """True for what needs no explanation method."""
        return self.method in (GAUSSIAN, GRADIENT)

    @property
    def needs_network(self) -> bool:
        """False for what is the same whatever the network is."""
        return self.method != GAUSSIAN

    @property
    def key(self) -> str:
        """A name in JSON."""
        return f"{self.method} {self.layer}".strip()


ROWS = (
    *(Row(method, layer) for layer in (*LAYERS, *SUMS) for method in METHODS),
    Row(GRADIENT, ""),
    Row(GAUSSIAN, ""),
)


@dataclass(frozen=True, eq=False)
class Maps:
    """The network's answer for a slice and every row's map, each at its own resolution (h, w)."""

    answer: int
    maps: dict[Row, FloatMap]


def every_map(model: ResNet, tensor: Tensor, target: int | None = None) -> Maps:
    """All of `ROWS` for one preprocessed slice (1, 3, S, S).

    `target` is the class explained, by default the network's own answer.
    """
    pixels = tensor.detach().clone().requires_grad_()
    hidden, activations = pixels, []
    with torch.enable_grad():
        for part in _parts(model):
            hidden = part(hidden)
            activations.append(hidden)
        logits = activations.pop()
        answer = int(logits[0].argmax())
        score = logits[0, answer if target is None else target]
        *gradients, at_pixels = torch.autograd.grad(score, [*activations, pixels])
    # The parts run from the finest layer to the last.
    at = dict(zip(LAYERS[::-1], zip(activations, gradients, strict=True), strict=True))
    maps = {
        Row(method, layer): raw_map(method, activation.detach()[0], gradient[0])
        for layer, (activation, gradient) in at.items()
        for method in METHODS
    }
    for layers in SUMS:
        for method in METHODS:
            maps[Row(method, layers)] = summed(
                [maps[Row(method, layer)] for layer in layers.split(SUM)]
            )
    steepness = at_pixels[0].abs().sum(dim=0).cpu().numpy().astype(np.float32)
    blurred = cv2.GaussianBlur(steepness, (0, 0), _GRADIENT_BLUR_PX)
    maps[Row(GRADIENT, "")] = np.asarray(blurred, np.float32)
    maps[Row(GAUSSIAN, "")] = gaussian(tensor.shape[-1])
    return Maps(answer, {row: maps[row] for row in ROWS})


def gaussian(side: int) -> FloatMap:
    """A bump (side, side) in the middle of the picture: what anyone would guess unseen."""
    place = (np.arange(side) - (side - 1) / 2) / (side * _GAUSSIAN_WIDTH)
    bump = np.exp(-(place**2) / 2)
    return np.asarray(np.outer(bump, bump), np.float32)


def _parts(model: ResNet) -> Sequence[torch.nn.Module]:
    """The network cut after each of `LAYERS`, the finest first, and what is left."""
    cuts = [len(split_at(model, layer)[0]) for layer in LAYERS[::-1]]
    trunk, tail = split_at(model, LAYERS[0])
    begins = [0, *cuts[:-1]]
    return [*(trunk[begin:end] for begin, end in zip(begins, cuts, strict=True)), tail]
