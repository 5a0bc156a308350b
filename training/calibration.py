"""Are the stated probabilities right? Proper scores, calibration error, and its perfect band.

A perfectly calibrated network still shows some calibration error on a finite test; the band says
how much, so that the measured figure can be read.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.metrics import Floats, Ints

BINS = 15
SIMULATIONS = 2000


@dataclass(frozen=True)
class CalibrationFigures:
    """At one temperature: Brier score (0…2), log loss (nats), expected calibration error (0…1).

    `perfect_low` to `perfect_high` hold 95 % of what a perfectly calibrated network with the same
    confidences would show; `inside` says whether the measured error is not above them.
    """

    temperature: float
    brier: float
    log_loss: float
    ece: float
    perfect_low: float
    perfect_high: float
    inside: bool


@dataclass(frozen=True, eq=False)
class Bins:
    """Equal-mass bins, each (B): mean confidence, share of right answers, slices."""

    confidence: Floats
    accuracy: Floats
    slices: Ints


def brier(probabilities: Floats, labels: Ints) -> float:
    """Mean squared distance of the probabilities (N, C) from the truth, summed over classes."""
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def log_loss(probabilities: Floats, labels: Ints) -> float:
    """Mean negative log-probability of the true class, in nats."""
    true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(true, np.finfo(np.float64).tiny, 1)).mean())


def reliability(confidence: Floats, right: NDArray[np.bool_], bins: int = BINS) -> Bins:
    """Slices in order of confidence, cut into `bins` parts of equal size (to one slice)."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return Bins(
        confidence=np.array([confidence[part].mean() for part in parts]),
        accuracy=np.array([right[part].mean() for part in parts]),
        slices=np.array([len(part) for part in parts], dtype=np.int64),
    )


def calibration_error(confidence: Floats, right: NDArray[np.bool_], bins: int = BINS) -> float:
    """Mean distance of confidence and accuracy over equal-mass bins, weighted by their slices.

    Source: Naeini, Cooper, Hauskrecht 2015, with the equal-mass bins of Nguyen, O'Connor 2015.
    """
    found = reliability(confidence, right, bins)
    gaps = np.abs(found.confidence - found.accuracy)
    return float((gaps * found.slices).sum() / found.slices.sum())


def perfect_band(
    confidence: Floats, seed: int, bins: int = BINS, simulations: int = SIMULATIONS
) -> tuple[float, float]:
    """The central 95 % of the calibration error when every confidence is exactly right.

    Each simulation draws for every slice whether its answer is right with the stated chance,
    independently; slices of one patient are not independent, so the true band is rather wider.
    """
    generator = np.random.default_rng(seed)
    ordered = np.sort(confidence, kind="stable")
    parts = np.array_split(np.arange(len(ordered)), bins)
    starts = np.array([part[0] for part in parts if len(part)])
    right = generator.random((simulations, len(ordered))) < ordered
    gaps = np.abs(np.add.reduceat(right - ordered, starts, axis=1))
    low, high = np.percentile(gaps.sum(axis=1) / len(ordered), [2.5, 97.5])
    return float(low), float(high)


def measure_calibration(
    probabilities: Floats, labels: Ints, temperature: float, seed: int
) -> CalibrationFigures:
    """All figures for probabilities (N, C) that were made with `temperature`."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    error = calibration_error(confidence, right)
    low, high = perfect_band(confidence, seed)
    return CalibrationFigures(
        temperature=temperature,
        brier=brier(probabilities, labels),
        log_loss=log_loss(probabilities, labels),
        ece=error,
        perfect_low=low,
        perfect_high=high,
        inside=error <= high,
    )
