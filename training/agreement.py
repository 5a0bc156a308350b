"""Do the maps lie on the tumor? Pointing game and Dice against annotated masks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torchvision.models import ResNet

from neuroscan.network.preprocess import Preprocessing, preprocess
from services.explain.cam import explain
from services.explain.evidence import Mask, region_mask, upsample
from training.data import Picture
from training.folders import Source

FRACTIONS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True)
class Agreement:
    """How one method at one layer agrees with the annotated tumors of `n` slices.

    `pointing` is the share of maps whose peak lies inside the mask; a slice without positive
    evidence counts as a miss. `dice` is the mean Dice coefficient of region and mask at each of
    `FRACTIONS` of the map's maximum.
    """

    method: str
    layer: str
    n: int
    pointing: float
    dice: tuple[float, ...]

    @property
    def fraction(self) -> float:
        """The largest fraction whose Dice is within a twentieth of the best.

        Where maps say little, Dice hardly falls as the region grows; the smaller one claims less.
        """
        enough = 0.95 * max(self.dice)
        return max(
            fraction
            for fraction, value in zip(FRACTIONS, self.dice, strict=True)
            if value >= enough
        )

    @property
    def region_dice(self) -> float:
        """The mean Dice coefficient at `fraction`."""
        return self.dice[FRACTIONS.index(self.fraction)]


def measure_agreement(
    model: ResNet,
    preprocessing: Preprocessing,
    packs: Source,
    pictures: Sequence[Picture],
    combinations: Sequence[tuple[str, str]],
) -> list[Agreement]:
    """Agreement of every (method, layer), explaining the class that the network itself gives."""
    hits = dict.fromkeys(combinations, 0)
    dices = {combination: np.zeros(len(FRACTIONS)) for combination in combinations}
    for picture in pictures:
        pixels = packs.pixels(picture)
        shape = (pixels.shape[0], pixels.shape[1])
        mask = packs.mask(picture, shape)
        tensor = preprocess(pixels, preprocessing).to(next(model.parameters()).device)
        with torch.no_grad():
            target = int(model(tensor).argmax())
        for method, layer in combinations:
            evidence = upsample(explain(model, tensor, target, method, layer).map, shape)
            if evidence.max() > 0:
                hits[method, layer] += bool(mask.flat[int(evidence.argmax())])
            regions = [region_mask(evidence, fraction) for fraction in FRACTIONS]
            dices[method, layer] += [dice(region, mask) for region in regions]
    count = len(pictures)
    return [
        Agreement(
            method=method,
            layer=layer,
            n=count,
            pointing=hits[method, layer] / count,
            dice=tuple(float(value) for value in dices[method, layer] / count),
        )
        for method, layer in combinations
    ]


def dice(region: Mask | None, mask: Mask) -> float:
    """Dice coefficient of two masks (H, W); 0 where there is no region."""
    if region is None:
        return 0.0
    both = int(np.logical_and(region, mask).sum())
    return 2 * both / int(region.sum() + mask.sum())


def chance(packs: Source, pictures: Sequence[Picture]) -> dict[str, float]:
    """The pointing game of a random pixel, and of the picture's center."""
    areas, centers = [], []
    for picture in pictures:
        shape = packs.pixels(picture).shape
        mask = packs.mask(picture, (shape[0], shape[1]))
        areas.append(float(mask.mean()))
        centers.append(float(mask[mask.shape[0] // 2, mask.shape[1] // 2]))
    return {"random_pixel": float(np.mean(areas)), "center": float(np.mean(centers))}
