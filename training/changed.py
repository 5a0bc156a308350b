"""Slices as a scanner or a patient not yet seen might give them: changed at random, many times.

Validation slices flatter a network, since they chose its epoch. Fitting on changed ones instead
keeps its stated confidence honest where slices differ from those. Source: Tomani et al., "Post-hoc
uncertainty calibration for domain drift scenarios", 2021.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroscan.network.preprocess import Preprocessing
from training.augment import augment
from training.cache import Slices, normalized
from training.observe import BATCH
from training.recipe import Augmentation

# About three quarters of what our training recipes do to a slice.
CHANGES = Augmentation(
    flip_horizontal=0.5,
    rotation_deg=15,
    scale=0.15,
    stretch=0.06,
    shift=0.05,
    gamma=0.3,
    contrast=0.22,
    brightness=0.05,
    noise=0.02,
    blur_px=0.8,
)
DRAWS = 4
_SEED = 11


@dataclass(frozen=True, eq=False)
class Changed:
    """`DRAWS` changed copies of every slice: logits (N, classes), labels (N), groups (N)."""

    logits: Tensor
    labels: NDArray[np.int64]
    groups: tuple[str, ...]


def observe_changed(model: nn.Module, slices: Slices, spec: Preprocessing) -> Changed:
    """What the network says of changed slices; the same changes at every call."""
    generator = torch.Generator().manual_seed(_SEED)
    logits = []
    for _ in range(DRAWS):
        for begin in range(0, len(slices), BATCH):
            pixels = slices.pixels[begin : begin + BATCH].float() / 255
            moved, _ = augment(pixels, torch.zeros_like(pixels), CHANGES, generator)
            with torch.inference_mode():
                logits.append(model(normalized(moved, spec)))
    return Changed(
        logits=torch.cat(logits),
        labels=np.tile(slices.labels.numpy(), DRAWS),
        groups=tuple(picture.group for picture in slices.pictures) * DRAWS,
    )
