"""Which validation slices are looked at closely after every epoch, and what is hidden in them.

Made once a run: finding heads and filling in tumors can take longer than an epoch on a GPU.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from neuroscan.network.model import CLASSES
from services.spatial.head import Gray, Mask
from training.cache import Slices
from training.data import sample_evenly
from training.shortcuts import head_of, only_shell, without_shell, without_tumor


@dataclass(frozen=True, eq=False)
class Probes:
    """Places of the annotated tumors and of the healthy slices that are mapped.

    `heads` (len(healthy), S, S) bool are the latter's. `hidden` holds, by what is done to them, the
    tumors with the tumor filled in, and all of both without and with only scalp and skull; nothing
    where no tumor is annotated.
    """

    tumors: list[int]
    healthy: list[int]
    heads: Tensor
    hidden: dict[str, Slices]


def choose_probes(slices: Slices, maps: int) -> Probes:
    """At most `maps` slices that have a mask, and half as many healthy ones, evenly spread."""
    tumors = _some(slices.masks.flatten(1).amax(dim=1) > 127, maps)
    healthy = _some(slices.labels == CLASSES.index("no_tumor"), maps // 2)
    both = slices.choose(tumors + healthy)
    heads = [head_of(one) for one in both.pixels.cpu().numpy()]
    of_healthy = np.array(heads[len(tumors) :], dtype=np.bool_)
    hidden: dict[str, Slices] = {}
    if tumors:
        part = slices.choose(tumors)
        hidden["without_tumor"] = _changed(part, without_tumor, part.masks.cpu().numpy() > 127)
        hidden["without_shell"] = _changed(both, without_shell, heads)
        hidden["only_shell"] = _changed(both, only_shell, heads)
    return Probes(tumors, healthy, torch.from_numpy(of_healthy).to(slices.pixels.device), hidden)


def _some(chosen: Tensor, count: int) -> list[int]:
    """At most `count` places of those that are chosen (N) bool, evenly spread."""
    places: list[int] = torch.nonzero(chosen).flatten().tolist()
    return sample_evenly(places, count) if count else []


def _changed(slices: Slices, change: Callable[[Gray, Mask], Gray], masks: Iterable[Mask]) -> Slices:
    pixels = np.stack(list(map(change, slices.pixels.cpu().numpy(), masks)))
    return replace(slices, pixels=torch.from_numpy(pixels).to(slices.pixels.device))
