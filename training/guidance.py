"""Teaching the network to look at the tumor: maps that can be trained, and what is asked of them.

Right for the right reasons (Ross et al. 2017) penalizes input gradients outside an annotation; here
it is the class activation map itself, at the stages whose maps the product shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    adaptive_avg_pool2d,
    binary_cross_entropy_with_logits,
    max_pool2d,
)
from torchvision.models import ResNet

from training.recipe import GUIDED, Guidance

_CHANNELS = {"layer1": 256, "layer2": 512, "layer3": 1024, "layer4": 2048}
_TINY = 1e-6
# Logits of positive evidence that a tumor's class must have. At the last stage a map sums to the
# class's logit less its bias; at the stages before it to about as much.
LEAST_EVIDENCE = 2.0


@dataclass(frozen=True)
class Pass:
    """Logits (N, classes) and every stage's output (N, C, h, w) of one forward pass."""

    logits: Tensor
    stages: Mapping[str, Tensor]


class Decoders(nn.ModuleDict):
    """A 1x1 convolution for each guided stage that finds the tumor in its output; training only."""

    def __init__(self, layers: tuple[str, ...]) -> None:
        super().__init__({layer: nn.Conv2d(_CHANNELS[layer], 1, 1) for layer in layers})
        for layer in self.values():
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            nn.init.zeros_(layer.weight)
            # Tumors fill about a fiftieth of a slice.
            nn.init.constant_(layer.bias, -4.0)


def forward(model: ResNet, batch: Tensor, frozen: int = 0, mapped: tuple[str, ...] = ()) -> Pass:
    """One pass over (N, 3, S, S); no gradient is kept for the stem and the first `frozen` stages.

    `frozen` is 0 where the stem trains, 1 where only it does not, 2 with layer1, and so on. The
    output of a frozen stage that is `mapped` becomes a leaf, so that its map can be had.
    """
    training = torch.is_grad_enabled()
    stages: dict[str, Tensor] = {}
    with torch.set_grad_enabled(frozen < 1 and training):
        hidden = model.maxpool(model.relu(model.bn1(model.conv1(batch))))
    leaf = False
    for index, stage in enumerate(GUIDED):
        with torch.set_grad_enabled(training and (frozen < index + 2 or leaf)):
            hidden = getattr(model, stage)(hidden)
        if training and stage in mapped and not hidden.requires_grad:
            hidden.requires_grad_()
            leaf = True
        stages[stage] = hidden
    return Pass(model.fc(torch.flatten(model.avgpool(hidden), 1)), stages)


def evidence_maps(
    seen: Pass, targets: Tensor, layers: tuple[str, ...], *, second_order: bool
) -> dict[str, Tensor]:
    """HiRes-CAM (N, h, w) of each slice's class in `targets` (N) at the named stages, signed.

    With `second_order` the gradient in the map is itself part of the graph. Stages must have been
    computed with gradients.
    """
    if not layers:
        return {}
    score = seen.logits.gather(1, targets[:, None]).sum()
    activations = [seen.stages[layer] for layer in layers]
    gradients = torch.autograd.grad(
        score, activations, create_graph=second_order, retain_graph=True
    )
    return {
        layer: (activation.float() * gradient.float()).sum(dim=1)
        for layer, activation, gradient in zip(layers, activations, gradients, strict=True)
    }


def cells(masks: Tensor, size: tuple[int, int], margin_px: int) -> Tensor:
    """How far each cell of a map lies in the widened masks (N, S, S): (N, h, w) in 0..1.

    The cell that holds most of a tumor counts as wholly inside, however small the tumor.
    """
    widened = max_pool2d(masks[:, None], 2 * margin_px + 1, 1, margin_px)
    covered = adaptive_avg_pool2d(widened, size)[:, 0]
    return covered / covered.amax(dim=(1, 2), keepdim=True).clamp_min(_TINY)


def outside_loss(maps: Tensor, inside: Tensor, least: float = 0.0) -> Tensor:
    """-log of the share of each map's positive part (N, h, w) that lies `inside`, in nats (N).

    The share is of the whole positive part, or of `least` where that is more: without it a network
    learns to have no positive evidence at all, since then none is outside. 0 where all of it is
    inside and comes to `least`.
    """
    positive = maps.clamp_min(0).flatten(1)
    total = positive.sum(dim=1)
    within = (positive * inside.flatten(1)).sum(dim=1)
    wanted = total.clamp_min(least)
    small = wanted.detach() * 1e-3 + _TINY
    return torch.log((wanted + small) / (within + small))


def segmentation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy plus 1 - soft Dice over a batch; both (N, h, w), `target` in 0..1."""
    entropy = binary_cross_entropy_with_logits(logits, target)
    answer = torch.sigmoid(logits)
    overlap = (answer * target).sum()
    dice = (2 * overlap + 1) / (answer.sum() + target.sum() + 1)
    return entropy + 1 - dice


def guidance_loss(
    seen: Pass,
    targets: Tensor,
    masks: Tensor,
    known: Tensor,
    decoders: Decoders,
    spec: Guidance,
) -> dict[str, Tensor]:
    """The weighted losses by name. `masks` (N, S, S) in 0..1; `targets` (N) are the true classes.

    `known` (N, bool) says of which slices it is known where the tumor is: a mask, or no tumor at
    all. Segmentation learns from those; evidence and activation only from slices with a mask.
    """
    losses: dict[str, Tensor] = {}
    drawn = masks.amax(dim=(1, 2)) > 0.5
    if spec.segmentation > 0 and bool(known.any()):
        segmented = [
            _segmented(decoders[layer](seen.stages[layer])[known, 0], masks[known])
            for layer in spec.segmentation_layers
        ]
        losses["segmentation"] = spec.segmentation * torch.stack(segmented).mean()
    if not bool(drawn.any()):
        return losses
    maps = evidence_maps(seen, targets, spec.evidence_layers, second_order=spec.second_order)
    silent = {layer: seen.stages[layer].float().mean(dim=1) for layer in spec.activation_layers}
    for name, weight, least, found in (
        ("evidence", spec.evidence, LEAST_EVIDENCE, maps),
        ("activation", spec.activation, 0.0, silent),
    ):
        if found:
            each = [
                _outside(values[drawn], masks[drawn], spec.margin_px, least)
                for values in found.values()
            ]
            losses[name] = weight * torch.stack(each).mean()
    return losses


def _segmented(logits: Tensor, masks: Tensor) -> Tensor:
    size = (logits.shape[-2], logits.shape[-1])
    return segmentation_loss(logits.float(), adaptive_avg_pool2d(masks[:, None], size)[:, 0])


def _outside(maps: Tensor, masks: Tensor, margin_px: int, least: float) -> Tensor:
    size = (maps.shape[-2], maps.shape[-1])
    return outside_loss(maps.float(), cells(masks, size, margin_px), least).mean()
