"""Optimizer, learning rate and averaged weights of a training run."""

import math

import torch
from torch import nn
from torchvision.models import ResNet

from training.recipe import Phase, Recipe

# Share of a cycle in which the learning rate rises, and what it starts and ends at.
_RISE, _START, _END = 0.15, 0.05, 0.001
# Small convolutions that start from nothing learn faster than what is tuned.
_DECODERS_FASTER = 10


def make_optimizer(
    recipe: Recipe, phase: Phase, model: ResNet, decoders: nn.Module
) -> torch.optim.Optimizer:
    """Adam or AdamW over what trains; biases and normalization don't decay."""
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return kind(
        [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
            {"params": list(decoders.parameters()), "weight_decay": 0.0, "faster": True},
        ],
        lr=phase.learning_rate,
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of everything; the decoders' is a multiple of it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * (_DECODERS_FASTER if group.get("faster") else 1)


def cycle(share: float) -> float:
    """The one-cycle schedule's factor at a share 0..1 of a phase: a rise, then half a cosine."""
    share = min(max(share, 0.0), 1.0)
    if share < _RISE:
        return _START + (1 - _START) * share / _RISE
    fall = 0.5 * (1 + math.cos(math.pi * (share - _RISE) / (1 - _RISE)))
    return _END + (1 - _END) * fall


@torch.no_grad()
def average_into(averaged: nn.Module, model: nn.Module, decay: float, steps: int) -> None:
    """Move the averaged weights towards the model's, after `steps` steps in all.

    Fewer steps are remembered at the start, where the weights still move fast.
    """
    keep = min(decay, (1 + steps) / (10 + steps))
    new = model.state_dict()
    for name, value in averaged.state_dict().items():
        if value.is_floating_point():
            value.lerp_(new[name].to(value.dtype), 1 - keep)
        else:
            value.copy_(new[name])
