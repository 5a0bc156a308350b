"""Class activation maps without hooks: HiRes-CAM, Grad-CAM, Grad-CAM++.

The trunk runs without gradients up to the chosen layer, its output becomes a leaf, the tail runs
with gradients, and one `autograd.grad` goes back to that leaf. Nothing is kept on the model, so
several threads may explain with the same one. `explain` can be called from a notebook.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models import ResNet

from neuroscan.network.layers import canonical, layer_names, split_between
from services.explain.backward import BackwardByProducts

# Joins the layers of a sum of maps.
SUM = "+"

FloatMap = NDArray[np.float32]


class UnknownMethod(ValueError):
    """There is no such method."""


@dataclass(frozen=True, eq=False)
class Cam:
    """A class activation map.

    `map` is float32 (h, w) at the layer's own resolution, as the method gives it: not scaled, and
    signed (above 0 speaks for the class). That of a sum of layers lies between 0 and 1 (`summed`).
    `score` is the class's logit.
    """

    map: FloatMap
    score: float
    method: str
    layer: str
    target: int

    @property
    def positive_evidence(self) -> bool:
        """True when any place speaks for the class."""
        return bool(self.map.max() > 0)


def explain(
    model: ResNet,
    tensor: Tensor,
    target: int,
    method: str,
    layer: str,
    *,
    known: Mapping[str, Tensor] | None = None,
) -> Cam:
    """The map of the class with index `target` for one preprocessed slice (1, 3, S, S).

    `layer` is one like `layer3[-1]`, or several joined by `+`, whose maps `summed` puts together.
    `known` are outputs (1, C, h, w) of layers that another pass over the slice has left, by their
    canonical names; with the shallowest of `layer` among them only what follows it runs.
    The model must be in eval mode; its parameters and their gradients are not touched.
    Raises `UnknownMethod`, `UnknownLayer` (`neuroscan.network.layers`), and `ValueError` for a
    model in training mode, another shape, or a class that the model doesn't have.
    """
    if method not in _METHODS:
        raise UnknownMethod(f"{method!r} is not a method; there are {', '.join(_METHODS)}")
    if model.training:
        raise ValueError("the model is in training mode")
    if tensor.ndim != 4 or len(tensor) != 1:
        raise ValueError(f"one slice (1, 3, S, S) at a time, not {tuple(tensor.shape)}")
    names = [canonical(model, part) for part in layer.split(SUM)]
    trunk, *rest = split_between(model, tuple(names))
    layers = sorted(set(names), key=layer_names(model).index)
    first = known.get(layers[0]) if known else None
    if first is None:
        with torch.no_grad():
            first = trunk(tensor)
    found, score = _differentiated(first.detach(), rest, target)
    maps = {
        name: raw_map(method, activation[0], gradient[0])
        for name, (activation, gradient) in zip(layers, found, strict=True)
    }
    return Cam(
        map=summed([maps[name] for name in names]) if len(names) > 1 else maps[names[0]],
        score=score,
        method=method,
        layer=layer,
        target=target,
    )


def _differentiated(
    first: Tensor, pieces: Sequence[nn.Module], target: int
) -> tuple[list[tuple[Tensor, Tensor]], float]:
    """Outputs and gradients (1, C, h, w) at the cuts before each of `pieces`, and the score.

    `first` is the first cut's output. One pass forward and one back serve all cuts.
    """
    outputs = [first.requires_grad_()]
    with torch.enable_grad(), BackwardByProducts():
        for piece in pieces[:-1]:
            outputs.append(piece(outputs[-1]))
        logits = pieces[-1](outputs[-1])
        if not 0 <= target < logits.shape[1]:
            raise ValueError(f"the model has {logits.shape[1]} classes, so no class {target}")
        score = logits[0, target]
        gradients = torch.autograd.grad(score, outputs)
    pairs = [
        (output.detach(), gradient) for output, gradient in zip(outputs, gradients, strict=True)
    ]
    return pairs, float(score.detach())


def raw_map(method: str, activation: Tensor, gradient: Tensor) -> FloatMap:
    """A method's map (h, w); a layer's output and the score's gradient there are (C, h, w)."""
    return _METHODS[method](activation, gradient).cpu().numpy().astype(np.float32)


def summed(maps: Sequence[FloatMap]) -> FloatMap:
    """The mean of several layers' maps at the finest one's resolution.

    Only what speaks for the class counts, and each map is divided by its own maximum first, since
    layers differ in scale: the values of the result lie between 0 and 1 and are no shares of the
    class's score.
    """
    height, width = max((one.shape for one in maps), key=lambda shape: shape[0])
    total = np.zeros((height, width), np.float32)
    for one in maps:
        positive = np.maximum(one, 0)
        peak = float(positive.max())
        if peak > 0:
            total += cv2.resize(positive / peak, (width, height), interpolation=cv2.INTER_LINEAR)
    return total / np.float32(len(maps))


def _hirescam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Draelos, Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations", 2020."""
    return (gradient * activation).sum(dim=0)


def _gradcam(activation: Tensor, gradient: Tensor) -> Tensor:
    """Selvaraju et al., "Grad-CAM", 2017, equations 1 and 2 (before the ReLU)."""
    weights = gradient.mean(dim=(1, 2))
    return (weights[:, None, None] * activation).sum(dim=0)


def _gradcam_plus_plus(activation: Tensor, gradient: Tensor) -> Tensor:
    """Chattopadhay et al., "Grad-CAM++", 2018, equation 19 for the exponential of the score."""
    square = gradient.square()
    total = activation.sum(dim=(1, 2), keepdim=True)
    alpha = square / (2 * square + total * square * gradient + 1e-6)
    alpha = torch.where(gradient != 0, alpha, torch.zeros_like(alpha))
    weights = (gradient.clamp_min(0) * alpha).sum(dim=(1, 2))
    return (weights[:, None, None] * activation).sum(dim=0)


_METHODS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "hirescam": _hirescam,
    "gradcam": _gradcam,
    "gradcam++": _gradcam_plus_plus,
}
