"""The network over many slices: logits, input-check features, and what the manifest says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models import ResNet

from neuroscan.network.layers import forward_with_features
from neuroscan.network.preprocess import Preprocessing, preprocess
from training.data import Picture
from training.folders import Source

BATCH = 32


@dataclass(frozen=True, eq=False)
class Observations:
    """What the network says of N slices: logits (N, 4), features (N, D); class indices, groups."""

    logits: Tensor
    features: Tensor
    labels: NDArray[np.int64]
    groups: tuple[str, ...]


def observe(
    model: ResNet,
    preprocessing: Preprocessing,
    layers: tuple[str, ...],
    packs: Source,
    pictures: Sequence[Picture],
    classes: tuple[str, ...],
) -> Observations:
    """Run the network over the pictures, in their order."""
    logits, features = run(
        model, preprocessing, layers, (packs.pixels(picture) for picture in pictures)
    )
    return Observations(
        logits=logits,
        features=features,
        labels=np.array([classes.index(picture.label) for picture in pictures], dtype=np.int64),
        groups=tuple(picture.group for picture in pictures),
    )


def run(
    model: ResNet,
    preprocessing: Preprocessing,
    layers: tuple[str, ...],
    slices: Iterable[NDArray[np.uint8]],
) -> tuple[Tensor, Tensor]:
    """Logits (N, classes) and features (N, D) of slices (H, W) uint8, on the CPU."""
    device = next(model.parameters()).device
    logits, features = [], []
    batch: list[Tensor] = []

    def flush() -> None:
        with torch.inference_mode():
            answers, seen = forward_with_features(model, torch.cat(batch).to(device), layers)
        logits.append(answers.cpu())
        features.append(seen.cpu())
        batch.clear()

    for pixels in slices:
        batch.append(preprocess(pixels, preprocessing))
        if len(batch) == BATCH:
            flush()
    if batch:
        flush()
    return torch.cat(logits), torch.cat(features)
