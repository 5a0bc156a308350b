"""The network as a row of blocks, so that it can be cut at a named layer without hooks.

A layer is named as in torchvision, with an index into the stage: `layer3[-1]`, `layer3[2]`.
"""

import re
from itertools import pairwise

import torch
from torch import Tensor, nn
from torchvision.models import ResNet

_NAME = re.compile(r"(layer[1-4])\[(-?\d+)\]")


class UnknownLayer(ValueError):
    """No block of the network has this name."""


def layer_names(model: ResNet) -> tuple[str, ...]:
    """Every block's name with a positive index, in the order in which they run."""
    return tuple(
        f"{stage}[{index}]"
        for stage in ("layer1", "layer2", "layer3", "layer4")
        for index in range(len(getattr(model, stage)))
    )


def canonical(model: ResNet, layer: str) -> str:
    """The layer's name with a positive index; raises `UnknownLayer`."""
    match = _NAME.fullmatch(layer)
    if match is None:
        raise UnknownLayer(f"{layer!r} is not a layer; name one like `layer3[-1]`")
    stage, index = match[1], int(match[2])
    count = len(getattr(model, stage))
    if not -count <= index < count:
        raise UnknownLayer(f"{stage} has {count} blocks, so there is no {layer!r}")
    return f"{stage}[{index % count}]"


def split_at(model: ResNet, layer: str) -> tuple[nn.Sequential, nn.Sequential]:
    """The network up to and including a layer, and the rest; they share the model's modules.

    `tail(trunk(x))` are the logits, `trunk(x)` is the layer's output (N, C, h, w).
    Raises `UnknownLayer`.
    """
    cut = layer_names(model).index(canonical(model, layer)) + 1
    blocks = _blocks(model)
    trunk = nn.Sequential(*_stem(model), *blocks[:cut])
    tail = nn.Sequential(*blocks[cut:], model.avgpool, nn.Flatten(1), model.fc)
    return trunk, tail


def split_between(model: ResNet, layers: tuple[str, ...]) -> tuple[nn.Sequential, ...]:
    """The network in one piece more than there are layers, cut after each, in running order.

    The first piece takes the slices, the last one gives the logits. A layer that is named twice
    cuts once. Raises `UnknownLayer`.
    """
    names = layer_names(model)
    cuts = sorted({names.index(canonical(model, layer)) + 1 for layer in layers})
    blocks = _blocks(model)
    pieces = [
        nn.Sequential(*_stem(model), *blocks[: cuts[0]]),
        *(nn.Sequential(*blocks[first:last]) for first, last in pairwise(cuts)),
        nn.Sequential(*blocks[cuts[-1] :], model.avgpool, nn.Flatten(1), model.fc),
    ]
    return tuple(pieces)


def outputs_of(model: ResNet, batch: Tensor, layers: tuple[str, ...]) -> tuple[Tensor, ...]:
    """The named layers' outputs (N, C, h, w), in the order of `layers`; no later block runs.

    Raises `UnknownLayer`.
    """
    wanted = [canonical(model, layer) for layer in layers]
    found: dict[str, Tensor] = {}
    hidden = batch
    for module in _stem(model):
        hidden = module(hidden)
    for name, block in zip(layer_names(model), _blocks(model), strict=True):
        if len(found) == len(set(wanted)):
            break
        hidden = block(hidden)
        if name in wanted:
            found[name] = hidden
    return tuple(found[name] for name in wanted)


def forward_with_features(
    model: ResNet, batch: Tensor, layers: tuple[str, ...]
) -> tuple[Tensor, Tensor]:
    """Logits (N, classes), and the named layers' features (N, D) of the same forward pass.

    A layer's features are its channels' means over positions, then their standard deviations;
    layers follow one another in the order in which they run. Features and head are float32
    whatever the blocks compute in. Raises `UnknownLayer`.
    """
    wanted = {canonical(model, layer) for layer in layers}
    pooled: list[Tensor] = []
    hidden = batch
    for module in _stem(model):
        hidden = module(hidden)
    for name, block in zip(layer_names(model), _blocks(model), strict=True):
        hidden = block(hidden)
        if name in wanted:
            deviation, mean = torch.std_mean(hidden.float(), dim=(2, 3), correction=0)
            pooled += [mean, deviation]
    logits: Tensor = model.fc(torch.flatten(model.avgpool(hidden.float()), 1))
    return logits, torch.cat(pooled, dim=1) if pooled else batch.new_zeros((len(batch), 0))


def _stem(model: ResNet) -> tuple[nn.Module, ...]:
    return model.conv1, model.bn1, model.relu, model.maxpool


def _blocks(model: ResNet) -> tuple[nn.Module, ...]:
    return (*model.layer1, *model.layer2, *model.layer3, *model.layer4)
