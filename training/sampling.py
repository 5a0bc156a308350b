"""Which training slices an epoch draws: every slice, class or group as often as any other."""

from collections import Counter

import torch
from torch import Tensor

from training.cache import Slices


def draw(part: Slices, count: int | None, sampling: str, generator: torch.Generator) -> Tensor:
    """Places in `part` by a recipe's `sampling`: `count` of them, or all where it is None.

    No slice is drawn twice, but where more are asked for than there are.
    """
    count = count or len(part)
    if sampling == "plain":
        return torch.randperm(len(part), generator=generator, device=generator.device)[:count]
    return torch.multinomial(
        chances(part, sampling), count, replacement=count > len(part), generator=generator
    )


def chances(part: Slices, sampling: str) -> Tensor:
    """How often each slice is drawn (N), relative; every class has a sum of 1.

    `groups` gives a group of n slices the square root of n in its class: a patient with many speaks
    more than one with few, and less than all of them together. `balanced` counts slices alone.
    """
    weights = torch.ones(len(part), device=part.labels.device)
    if sampling == "groups":
        sizes = Counter(picture.group for picture in part.pictures)
        weights = torch.tensor(
            [sizes[picture.group] ** -0.5 for picture in part.pictures], device=weights.device
        )
    return weights / torch.bincount(part.labels, weights)[part.labels]
