"""Slices whose tumor is filled in, to be learned as slices without one.

What is left then speaks for no tumor class: neither place, plane, sequence nor skull may. So that
the filling itself says nothing, as many slices have a tumor's outline filled in where no tumor
lies, and keep their class.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from neuroscan.network.model import CLASSES
from services.spatial.head import Mask
from training.cache import Slices
from training.shortcuts import head_of, without_tumor

NO_TUMOR = CLASSES.index("no_tumor")
_PLACES_TRIED = 30


@dataclass(frozen=True, eq=False)
class Hidden:
    """Of N slices (N, S, S) uint8: the tumor filled in, and an outline like it filled in elsewhere.

    `outlined` (N) says which slices have an outlined tumor. The others without a tumor have an
    outline of another slice filled in, in both; what is not known to have none stays as it is.
    """

    tumor: Tensor
    elsewhere: Tensor
    outlined: Tensor

    def draw(
        self, slices: Slices, places: Tensor, chance: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels and masks (B, S, S) uint8 and labels (B) of the slices at `places`, some hidden.

        With half of `chance` each the tumor, which makes it a slice without one, or a place beside.
        """
        draw = torch.rand(len(places), generator=generator, device=generator.device)
        gone, changed = draw < chance / 2, draw < chance
        pixels = slices.pixels[places].clone()
        pixels[changed] = self.elsewhere[places[changed]]
        pixels[gone] = self.tumor[places[gone]]
        healed = gone & self.outlined[places]
        masks = torch.where(healed[:, None, None], 0, slices.masks[places])
        labels = torch.where(healed, NO_TUMOR, slices.labels[places])
        return pixels, masks, labels


def hide(slices: Slices, seed: int) -> Hidden:
    """Both of every slice, made once a run (5 ms a slice at 160 px)."""
    generator = np.random.default_rng(seed)
    pixels, masks = slices.pixels.cpu().numpy(), slices.masks.cpu().numpy() > 127
    outlined: Mask = np.array([mask.any() for mask in masks], dtype=np.bool_)
    donors = np.flatnonzero(outlined)
    healthy = (slices.labels.cpu().numpy() == NO_TUMOR) & ~outlined
    tumor, elsewhere = pixels.copy(), pixels.copy()
    for place in np.flatnonzero(outlined | healthy) if len(donors) else ():
        own = masks[place]
        outline = own if outlined[place] else masks[generator.choice(donors)]
        beside = _moved(outline, head_of(pixels[place]), own, generator)
        elsewhere[place] = without_tumor(pixels[place], beside)
        tumor[place] = without_tumor(pixels[place], own) if outlined[place] else elsewhere[place]
    device = slices.pixels.device
    return Hidden(
        torch.from_numpy(tumor).to(device),
        torch.from_numpy(elsewhere).to(device),
        torch.from_numpy(outlined).to(device),
    )


def _moved(outline: Mask, head: Mask, taken: Mask, generator: np.random.Generator) -> Mask:
    """The outline with its center at a random place of the head, clear of what is taken.

    Nothing where no such place was found.
    """
    rows, columns = np.nonzero(outline)
    middle = int(rows.mean()), int(columns.mean())
    inside = np.argwhere(head)
    for row, column in inside[generator.integers(len(inside), size=_PLACES_TRIED)]:
        moved = _shifted(outline, row - middle[0], column - middle[1])
        if not (moved & taken).any():
            return moved
    return np.zeros_like(outline)


def _shifted(outline: Mask, down: int, right: int) -> Mask:
    rows, columns = np.nonzero(outline)
    rows, columns = rows + down, columns + right
    height, width = outline.shape
    kept = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    moved: Mask = np.zeros_like(outline)
    moved[rows[kept], columns[kept]] = True
    return moved
