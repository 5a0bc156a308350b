"""Classification figures and their intervals, in numpy alone.

Every figure takes weights, one a slice, so that a bootstrap resample is a row of counts. Intervals
resample groups (a patient, or a family of look-alikes), never slices: slices of one patient are
alike, and a bootstrap over slices would claim too much.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its 95 % interval (percentiles of the bootstrap over groups)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Rates:
    """One-versus-rest figures, each (..., classes); NaN where the denominator is 0."""

    sensitivity: Floats
    specificity: Floats
    precision: Floats
    f1: Floats


def group_weights(groups: Sequence[str], resamples: int, seed: int) -> Floats:
    """How often each slice stands in each resample, (resamples, N).

    A resample draws as many groups as there are, with replacement; a group brings all its slices.
    """
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    generator = np.random.default_rng(seed)
    count = len(names)
    drawn = generator.multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.asarray(drawn[:, member], dtype=np.float64)


def estimate(value: float, resampled: Floats) -> Estimate:
    """The figure with the percentile interval of its resampled values; NaN ones are left out."""
    tail = (1 - LEVEL) / 2 * 100
    known = resampled[~np.isnan(resampled)]
    if not len(known):
        return Estimate(value, value, value)
    low, high = np.percentile(known, [tail, 100 - tail])
    return Estimate(float(value), float(low), float(high))


def mean_estimate(values: Floats, weights: Floats) -> Estimate:
    """The mean of values (N) and its interval over the resamples' weights (B, N)."""
    total = weights.sum(axis=1)
    with np.errstate(invalid="ignore"):
        resampled = np.where(total > 0, weights @ values / total, np.nan)
    return estimate(float(np.mean(values)), resampled)


def confusion(labels: Ints, answers: Ints, classes: int, weights: Floats | None = None) -> Floats:
    """Counts (..., classes, classes), rows the truth, columns the answers.

    `weights` is (N) or (B, N); without it every slice counts once.
    """
    cells = np.eye(classes * classes)[labels * classes + answers]
    counted = np.ones(len(labels)) if weights is None else weights
    return np.asarray((counted @ cells).reshape(*counted.shape[:-1], classes, classes))


def rates(counts: Floats) -> Rates:
    """Sensitivity, specificity, precision and F1 of each class from counts (..., C, C)."""
    hit = np.diagonal(counts, axis1=-2, axis2=-1)
    truth, answered = counts.sum(axis=-1), counts.sum(axis=-2)
    total = counts.sum(axis=(-2, -1))[..., None]
    rejected = total - truth - answered + hit
    return Rates(
        sensitivity=_ratio(hit, truth),
        specificity=_ratio(rejected, total - truth),
        precision=_ratio(hit, answered),
        f1=_ratio(2 * hit, truth + answered),
    )


def auc(scores: Floats, positive: NDArray[np.bool_], weights: Floats | None = None) -> Floats:
    """Area under the ROC curve: the chance that a positive outranks a negative, ties one half.

    `scores` and `positive` are (N), `weights` is (N) or (B, N); returns () or (B). NaN where one
    side is empty. Source: Hanley, McNeil 1982.
    """
    counted = np.ones(len(scores)) if weights is None else weights
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    above = np.add.reduceat((counted * positive)[..., order], starts, axis=-1)
    below = np.add.reduceat((counted * ~positive)[..., order], starts, axis=-1)
    outranked = np.cumsum(below, axis=-1) - below / 2
    pairs = above.sum(axis=-1) * below.sum(axis=-1)
    return _ratio((above * outranked).sum(axis=-1), pairs)


def roc_curve(scores: Floats, positive: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """False- and true-positive rates from (0, 0) to (1, 1), one point a distinct score."""
    order = np.argsort(-scores, kind="stable")
    last = np.r_[scores[order][1:] != scores[order][:-1], True]
    true = np.cumsum(positive[order])[last] / max(1, positive.sum())
    false = np.cumsum(~positive[order])[last] / max(1, (~positive).sum())
    return np.r_[0.0, false], np.r_[0.0, true]


def group_answers(
    probabilities: Floats, labels: Ints, groups: Sequence[str]
) -> tuple[Ints, Ints, tuple[str, ...]]:
    """One answer a patient: the class with the highest mean probability over the group's slices.

    Returns labels, answers and names, each (G). A group with slices of two classes counts once for
    each.
    """
    keys = [f"{label} {group}" for label, group in zip(labels, groups, strict=True)]
    _, first, member = np.unique(np.asarray(keys), return_index=True, return_inverse=True)
    sums = np.zeros((len(first), probabilities.shape[1]))
    np.add.at(sums, member, probabilities)
    names = tuple(groups[int(index)] for index in first)
    return labels[first], np.asarray(sums.argmax(axis=1), dtype=np.int64), names


def _ratio(above: Floats, below: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(below > 0, above / below, np.nan))
