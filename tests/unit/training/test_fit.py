"""Temperature and conformal threshold."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroscan.network.conformal import prediction_set
from training.fit import (
    class_threshold,
    fit_temperature,
    lac_threshold,
    log_loss,
    probabilities,
    temperature_for_others,
)


def drawn(count: int, seed: int) -> tuple[torch.Tensor, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Logits, and labels drawn from exactly the probabilities that they state."""
    generator = np.random.default_rng(seed)
    logits = torch.from_numpy(generator.normal(0, 2, size=(count, 4)))
    shares = probabilities(logits, 1.0)
    labels = np.array([generator.choice(4, p=row) for row in shares], dtype=np.int64)
    return logits, labels


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_the_temperature_undoes_a_known_one(factor: float) -> None:
    logits, labels = drawn(6000, seed=1)
    assert fit_temperature(logits * factor, labels) == pytest.approx(factor, rel=0.06)


@given(st.integers(0, 10_000), st.floats(0.2, 5))
@settings(max_examples=25)
def test_no_temperature_near_the_fitted_one_is_better(seed: int, factor: float) -> None:
    logits, labels = drawn(200, seed)
    best = fit_temperature(logits * factor, labels)
    least = log_loss(logits * factor, labels, best)
    for other in (0.8, 0.95, 1.05, 1.25):
        assert log_loss(logits * factor, labels, best * other) >= least - 1e-9


def test_prediction_sets_cover_new_slices_at_the_nominal_rate() -> None:
    logits, labels = drawn(4000, seed=2)
    shares = probabilities(logits, 1.0)
    true_share = shares[np.arange(len(labels)), labels]
    threshold = lac_threshold(true_share, [str(index) for index in range(4000)], 0.95)
    new_logits, new_labels = drawn(4000, seed=3)
    covered = [
        label in prediction_set(row.tolist(), threshold)
        for row, label in zip(probabilities(new_logits, 1.0), new_labels, strict=True)
    ]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_with_single_slices_it_is_the_textbook_quantile() -> None:
    true_share = np.linspace(0.01, 1.0, 100)
    # ceil(0.9 * 101) = 91 of 100 slices must be covered.
    threshold = lac_threshold(true_share, [str(index) for index in range(100)], 0.9)
    assert (true_share >= threshold).sum() == 91


def test_a_patient_with_many_slices_has_one_vote() -> None:
    # 30 patients of one good slice each, and one patient with 300 bad slices.
    true_share = np.array([0.9] * 30 + [0.01] * 300)
    groups = [f"single {index}" for index in range(30)] + ["crowd"] * 300
    assert lac_threshold(true_share, groups, 0.9) == 0.9
    assert lac_threshold(true_share, [str(index) for index in range(330)], 0.9) == 0.01


def test_too_few_groups_give_every_class() -> None:
    assert lac_threshold(np.array([0.9, 0.8, 0.7]), ["a", "b", "c"], 0.95) == 0.0


def test_a_class_that_is_often_mistaken_lowers_the_threshold_for_itself() -> None:
    # 100 groups of a class that is never doubted outvote 30 of which 4 are; a third has too few.
    true_share = np.array([0.99] * 100 + [0.9] * 26 + [0.2, 0.15, 0.12, 0.1] + [0.05] * 10)
    labels = np.array([2] * 100 + [1] * 30 + [3] * 10)
    groups = [f"g{index}" for index in range(140)]
    threshold, heard = class_threshold(true_share[:130], labels[:130], groups[:130], 0.95)
    # ceil(0.95 * 31) = 30 of the class's 30.
    assert (threshold, heard) == (0.1, (1, 2))
    assert lac_threshold(true_share[:130], groups[:130], 0.95) == 0.9
    # The third, by itself, would ask for every class; all 140 ask for less than it has.
    threshold, heard = class_threshold(true_share, labels, groups, 0.95)
    assert (threshold, heard) == (0.05, (1, 2))
    assert lac_threshold(true_share, groups, 0.95) == 0.05


def test_every_class_with_enough_groups_is_covered_at_the_nominal_rate() -> None:
    generator = np.random.default_rng(4)

    def part(count: int) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float64]], list[int]]:
        # Nine of ten slices are of a class that is always sure; the tenth is right half the time.
        labels = [0 if generator.random() < 0.9 else 1 for _ in range(count)]
        second = [0.01 if label == 0 else generator.random() for label in labels]
        return np.array([[1 - share, share] for share in second]), labels

    shares, labels = part(3000)
    true_share = shares[np.arange(3000), labels]
    groups = [str(index) for index in range(3000)]
    threshold, _ = class_threshold(true_share, np.array(labels), groups, 0.95)
    for limit, least in ((threshold, 0.93), (lac_threshold(true_share, groups, 0.95), 0.0)):
        new, truth = part(6000)
        held = [
            label in prediction_set(row.tolist(), limit)
            for row, label in zip(new, truth, strict=True)
        ]
        rare = np.mean([one for one, label in zip(held, truth, strict=True) if label == 1])
        assert least < rare < (0.97 if least else 0.7)


def test_a_temperature_that_other_groups_confirm_is_kept() -> None:
    logits, labels = drawn(2000, seed=3)
    groups = [f"g{index // 10}" for index in range(2000)]
    kept = temperature_for_others(logits * 3, labels, groups)
    assert kept == fit_temperature(logits * 3, labels)
    assert kept == pytest.approx(3, rel=0.1)


def test_a_temperature_that_only_flatters_its_own_groups_is_not() -> None:
    # Groups are right or wrong as a whole, so that each fold misleads the others.
    generator = np.random.default_rng(5)
    groups = [f"patient {index // 40}" for index in range(1200)]
    right = generator.random(30) < 0.83
    labels = np.array([0 if right[index // 40] else 1 for index in range(1200)], dtype=np.int64)
    logits = torch.zeros((1200, 2), dtype=torch.double)
    share = float((labels == 0).mean())
    logits[:, 0] = float(np.log(share / (1 - share)))
    assert temperature_for_others(logits, labels, groups) == 1.0
