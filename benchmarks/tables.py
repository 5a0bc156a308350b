"""From slices to figures: shares, medians, percentiles and biases, with intervals by group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.agreement import Held
from benchmarks.slices import Seen
from training.map_scores import median_estimate
from training.metrics import RESAMPLES, Estimate, group_weights, mean_estimate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ErrorFigures:
    """Median and 95th percentile of absolute errors, mean error (bias) and 1.96 deviations."""

    median: Estimate
    percentile_95: float
    bias: float
    spread: float


@dataclass(frozen=True)
class SourceFigures:
    """One source's regions on a set of slices.

    A slice without a region counts as a miss for `peak_inside`, with Dice 0, and as a wrong side;
    the errors and `range_holds` stand on the `slices` less `without_region` others.
    """

    source: str
    slices: int
    without_region: int
    peak_inside: Estimate
    dice: Estimate
    mean_dice: float
    centroid_mm: ErrorFigures | None
    area_percent: ErrorFigures | None
    longest_percent: ErrorFigures | None
    side_right: Estimate | None
    lateralized: int
    range_holds: Estimate | None


@dataclass(frozen=True)
class PartFigures:
    """The main figures on some of the slices; errors as in `SourceFigures`."""

    by: str
    name: str
    source: str
    slices: int
    groups: int
    peak_inside: float
    dice: float
    centroid_mm: float | None
    longest_percent: float | None


@dataclass(frozen=True)
class Paired:
    """Annotated and found values of the slices with a region, for Bland-Altman figures."""

    annotated: tuple[float, ...]
    found: tuple[float, ...]


def source_figures(source: str, seen: Sequence[Seen], seed: int) -> SourceFigures:
    """All figures of one source."""
    held = [one.held[source] for one in seen]
    groups = [one.group for one in seen]
    weights = group_weights(groups, RESAMPLES, seed)
    known = [(one, group) for one, group in zip(held, groups, strict=True) if one is not None]
    # Without any region there is nothing to resample, and no error.
    known_weights = group_weights([group for _, group in known] or ["none"], RESAMPLES, seed)

    def errors(value: Callable[[Held], float]) -> ErrorFigures | None:
        return _errors(np.array([value(one) for one, _ in known]), known_weights) if known else None

    sided = [(one.held[source], one.group) for one in seen if one.lateralized]
    right = np.array([float(one is not None and one.side_right) for one, _ in sided])
    dices = np.array([0.0 if one is None else one.dice for one in held])
    hits = np.array([float(one is not None and one.peak_inside) for one in held])
    holds = np.array([float(one.range_holds) for one, _ in known])
    return SourceFigures(
        source=source,
        slices=len(seen),
        without_region=len(seen) - len(known),
        peak_inside=mean_estimate(hits, weights),
        dice=median_estimate(dices, weights),
        mean_dice=float(dices.mean()),
        centroid_mm=errors(lambda one: one.centroid_mm),
        area_percent=errors(lambda one: one.area_error),
        longest_percent=errors(lambda one: one.longest_error),
        side_right=(
            mean_estimate(right, group_weights([group for _, group in sided], RESAMPLES, seed))
            if sided
            else None
        ),
        lateralized=len(sided),
        range_holds=mean_estimate(holds, known_weights) if known else None,
    )


def part_figures(sources: Sequence[str], seen: Sequence[Seen]) -> list[PartFigures]:
    """By class, by plane, and by thirds of the annotated area."""
    cuts = np.quantile([one.area_mm2 for one in seen], [1 / 3, 2 / 3])
    names = (
        f"up to {cuts[0]:.0f} mm²",
        f"{cuts[0]:.0f} to {cuts[1]:.0f} mm²",
        f"above {cuts[1]:.0f} mm²",
    )
    ways: dict[str, Callable[[Seen], str]] = {
        "class": lambda one: one.label,
        "plane": lambda one: one.plane or "not known",
        "size": lambda one: names[int(np.searchsorted(cuts, one.area_mm2))],
    }
    orders = {"size": list(names)}
    return [
        _part(by, name, source, [one for one in seen if way(one) == name])
        for by, way in ways.items()
        for name in orders.get(by, sorted({way(one) for one in seen}))
        for source in sources
        if any(way(one) == name for one in seen)
    ]


def paired(source: str, seen: Sequence[Seen], value: Callable[[Held], tuple[float, float]]) -> (
    Paired
):  # fmt: skip
    """`value` gives annotated and found of a region."""
    pairs = [value(one.held[source]) for one in seen if one.held[source] is not None]  # type: ignore[arg-type]
    return Paired(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


def _part(by: str, name: str, source: str, seen: Sequence[Seen]) -> PartFigures:
    held = [one.held[source] for one in seen]
    known = [one for one in held if one is not None]
    return PartFigures(
        by=by,
        name=name,
        source=source,
        slices=len(seen),
        groups=len({one.group for one in seen}),
        peak_inside=float(np.mean([one is not None and one.peak_inside for one in held])),
        dice=float(np.median([0.0 if one is None else one.dice for one in held])),
        centroid_mm=float(np.median([one.centroid_mm for one in known])) if known else None,
        longest_percent=(
            float(np.median([abs(one.longest_error) for one in known])) if known else None
        ),
    )


def _errors(values: Floats, weights: Floats) -> ErrorFigures:
    return ErrorFigures(
        median=median_estimate(np.abs(values), weights),
        percentile_95=float(np.percentile(np.abs(values), 95)),
        bias=float(values.mean()),
        spread=float(1.96 * values.std()),
    )
