"""How well maps lie on annotated tumors, one row of figures a way to get a map."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torchvision.models import ResNet

from neuroscan.network.preprocess import Preprocessing, preprocess
from services.explain.evidence import region_mask, upsample
from services.explain.sharpness import sharpness
from training.agreement import FRACTIONS, Agreement, dice
from training.data import Picture
from training.every_map import ROWS, Row, every_map
from training.folders import Source
from training.map_facts import inside_share
from training.metrics import RESAMPLES, Estimate, estimate, group_weights, mean_estimate

# Of the maximum; only for the bound that picks each slice's best threshold after the fact.
_FINE = tuple(round(float(value), 2) for value in np.arange(0.05, 1.0, 0.05))


@dataclass(frozen=True, eq=False)
class Scores:
    """One row's figures on each slice of a part, in the slices' order.

    `dices` (N, `FRACTIONS`) and `best_dices` (N,), that of the slice's own best threshold; a map
    without positive evidence has 0 everywhere and no sharpness (NaN).
    """

    hits: NDArray[np.float64]
    energies: NDArray[np.float64]
    dices: NDArray[np.float64]
    best_dices: NDArray[np.float64]
    sharpness: NDArray[np.float64]


@dataclass(frozen=True)
class RowFigures:
    """A row's figures on a part, with intervals by patient group.

    `dice` and `median_dice` are at the share `fraction` of the maximum; `bound` is the median Dice
    coefficient if every slice had its own best threshold, which nobody knows beforehand.
    """

    method: str
    layer: str
    fraction: float
    pointing: Estimate
    energy: Estimate
    dice: Estimate
    median_dice: Estimate
    bound: float
    sharpness: float | None
    without_evidence: int


def score_maps(
    model: ResNet,
    preprocessing: Preprocessing,
    packs: Source,
    pictures: Sequence[Picture],
    progress: Callable[[int], None],
) -> dict[Row, Scores]:
    """Every row on every picture, all with masks, explaining the network's own answer."""
    found: dict[Row, list[tuple[float, ...]]] = {row: [] for row in ROWS}
    for number, picture in enumerate(pictures):
        progress(number)
        pixels = packs.pixels(picture)
        shape = (pixels.shape[0], pixels.shape[1])
        mask = packs.mask(picture, shape)
        for row, raw in every_map(model, preprocess(pixels, preprocessing)).maps.items():
            evidence = upsample(raw, shape)
            fine = [dice(region_mask(evidence, fraction), mask) for fraction in _FINE]
            at = dict(zip(_FINE, fine, strict=True))
            sharp = sharpness(raw)
            found[row].append(
                (
                    *inside_share(evidence, mask),
                    max(fine),
                    np.nan if sharp is None else sharp,
                    *(at[fraction] for fraction in FRACTIONS),
                )
            )
    return {row: _scores(np.array(values)) for row, values in found.items()}


def agreements(scores: dict[Row, Scores], rows: Iterable[Row]) -> list[Agreement]:
    """The scores as `calibrate` weighs them."""
    return [
        Agreement(
            method=row.method,
            layer=row.layer,
            n=len(scores[row].hits),
            pointing=float(scores[row].hits.mean()),
            dice=tuple(float(value) for value in scores[row].dices.mean(axis=0)),
        )
        for row in rows
    ]


def figures(row: Row, scores: Scores, fraction: float, groups: Sequence[str], seed: int) -> (
    RowFigures
):  # fmt: skip
    """A row's figures at a threshold that was chosen before."""
    weights = group_weights(groups, RESAMPLES, seed)
    dices = scores.dices[:, FRACTIONS.index(fraction)]
    known = scores.sharpness[~np.isnan(scores.sharpness)]
    return RowFigures(
        method=row.method,
        layer=row.layer,
        fraction=fraction,
        pointing=mean_estimate(scores.hits, weights),
        energy=mean_estimate(scores.energies, weights),
        dice=mean_estimate(dices, weights),
        median_dice=median_estimate(dices, weights),
        bound=float(np.median(scores.best_dices)),
        sharpness=float(known.mean()) if len(known) else None,
        without_evidence=len(scores.sharpness) - len(known),
    )


def median_estimate(values: NDArray[np.float64], weights: NDArray[np.float64]) -> Estimate:
    """The median (N,) with its interval from resamples (R, N) of whole groups."""
    order = np.argsort(values, kind="stable")
    heaped = np.cumsum(weights[:, order], axis=1)
    middles = (heaped >= heaped[:, -1:] / 2).argmax(axis=1)
    return estimate(float(np.median(values)), values[order][middles])


def _scores(values: NDArray[np.float64]) -> Scores:
    return Scores(values[:, 0], values[:, 1], values[:, 4:], values[:, 2], values[:, 3])
