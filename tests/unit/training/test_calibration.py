"""Proper scores and the calibration error beside the band of a perfect network."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import log_loss as sklearn_log_loss

from training.calibration import (
    brier,
    calibration_error,
    log_loss,
    measure_calibration,
    perfect_band,
    reliability,
)


def drawn(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Probabilities, and labels drawn from exactly them."""
    generator = np.random.default_rng(seed)
    raw = np.exp(generator.normal(0, 2, size=(count, 4)))
    shares = raw / raw.sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(4, p=row) for row in shares], dtype=np.int64)
    return shares, labels


def test_scores_are_those_of_their_definitions() -> None:
    shares, labels = drawn(300, seed=1)
    assert log_loss(shares, labels) == pytest.approx(sklearn_log_loss(labels, shares))
    by_hand = np.mean(
        [
            sum((row[index] - (index == label)) ** 2 for index in range(4))
            for row, label in zip(shares, labels, strict=True)
        ]
    )
    assert brier(shares, labels) == pytest.approx(by_hand)
    assert brier(np.eye(4), np.arange(4)) == 0
    assert brier(np.eye(4), np.array([1, 2, 3, 0])) == 2


def test_bins_have_equal_mass_and_the_error_is_the_weighted_gap() -> None:
    confidence = np.linspace(0.5, 1, 100)
    right = np.arange(100) % 2 == 0
    bins = reliability(confidence, right, bins=4)
    assert bins.slices.tolist() == [25, 25, 25, 25]
    assert (np.diff(bins.confidence) > 0).all()
    expected = np.mean(np.abs(bins.confidence - bins.accuracy))
    assert calibration_error(confidence, right, bins=4) == pytest.approx(expected)
    assert calibration_error(np.ones(50), np.zeros(50, dtype=bool)) == 1


def test_a_perfect_network_lies_in_its_band_as_often_as_stated() -> None:
    shares, _ = drawn(400, seed=2)
    confidence = shares.max(axis=1)
    low, high = perfect_band(confidence, seed=3)
    generator = np.random.default_rng(4)
    errors = [calibration_error(confidence, generator.random(400) < confidence) for _ in range(400)]
    inside = np.mean([low <= error <= high for error in errors])
    assert inside == pytest.approx(0.95, abs=0.035)


def test_an_overconfident_network_lies_above_its_band() -> None:
    shares, labels = drawn(800, seed=5)
    assert measure_calibration(shares, labels, 1.0, seed=0).inside
    sharpened = shares**3 / (shares**3).sum(axis=1, keepdims=True)
    found = measure_calibration(sharpened, labels, 1.0, seed=0)
    assert not found.inside
    assert found.ece > found.perfect_high > found.perfect_low > 0


def test_a_larger_test_has_a_narrower_band() -> None:
    small, _ = drawn(200, seed=6)
    large, _ = drawn(3200, seed=6)
    assert perfect_band(large.max(axis=1), seed=0)[1] < perfect_band(small.max(axis=1), seed=0)[1]
