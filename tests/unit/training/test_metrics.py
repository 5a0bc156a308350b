"""Figures against scikit-learn, and intervals that resample groups."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)
from sklearn.metrics import roc_curve as sklearn_roc_curve

from training.metrics import (
    auc,
    confusion,
    estimate,
    group_answers,
    group_weights,
    mean_estimate,
    rates,
    roc_curve,
)


@given(st.integers(0, 10_000), st.integers(40, 300))
@settings(max_examples=30, deadline=None)
def test_rates_are_those_of_scikit_learn(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, size=count)
    answers = np.where(generator.random(count) < 0.7, labels, generator.integers(0, 4, size=count))
    counts = confusion(labels, answers, 4)
    assert np.array_equal(counts, confusion_matrix(labels, answers, labels=range(4)))
    found = rates(counts)
    for index in range(4):
        precision, recall, f1, _ = precision_recall_fscore_support(
            labels == index, answers == index, average="binary", zero_division=np.nan
        )
        specificity = np.mean(answers[labels != index] != index)
        assert found.sensitivity[index] == pytest.approx(recall, nan_ok=True)
        assert found.precision[index] == pytest.approx(precision, nan_ok=True)
        assert found.f1[index] == pytest.approx(f1, nan_ok=True)
        assert found.specificity[index] == pytest.approx(specificity)


@given(st.integers(0, 10_000), st.integers(2, 50))
@settings(max_examples=30, deadline=None)
def test_areas_are_those_of_scikit_learn_with_ties_and_weights(seed: int, levels: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, levels, size=120) / levels
    positive = generator.random(120) < 0.2 + 0.6 * scores
    positive[:2] = [True, False]
    weights = generator.integers(0, 4, size=(3, 120)).astype(float)
    weights[:, :2] = 1
    assert auc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    expected = [roc_auc_score(positive, scores, sample_weight=row) for row in weights]
    assert auc(scores, positive, weights) == pytest.approx(expected)


def test_the_roc_curve_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(3)
    scores = generator.integers(0, 12, size=200) / 12
    positive = generator.random(200) < scores
    false, true = roc_curve(scores, positive)
    expected_false, expected_true, _ = sklearn_roc_curve(positive, scores, drop_intermediate=False)
    assert false == pytest.approx(expected_false)
    assert true == pytest.approx(expected_true)


def test_a_figure_without_its_slices_is_not_a_number() -> None:
    found = rates(confusion(np.array([0, 0, 1]), np.array([0, 0, 0]), 3))
    assert np.isnan(found.sensitivity[2])
    assert np.isnan(found.precision[1])
    assert np.isnan(auc(np.array([0.1, 0.2]), np.array([True, True])))


def test_intervals_by_group_are_wider_than_by_slice_where_slices_of_a_patient_are_alike() -> None:
    generator = np.random.default_rng(1)
    good = np.repeat(generator.random(40) < 0.8, 20).astype(float)
    patients = [f"patient {index // 20}" for index in range(800)]
    by_group = mean_estimate(good, group_weights(patients, 1000, seed=5))
    slices = [str(index) for index in range(800)]
    by_slice = mean_estimate(good, group_weights(slices, 1000, seed=5))
    assert by_group.value == by_slice.value == good.mean()
    assert by_group.high - by_group.low > 3 * (by_slice.high - by_slice.low)
    # 40 patients at 80 %: a binomial interval of about ±12 points.
    assert by_group.high - by_group.low == pytest.approx(0.25, abs=0.06)


def test_a_resample_holds_all_slices_of_a_group_or_none_and_as_many_groups() -> None:
    groups = ["a", "b", "a", "c", "b", "b"]
    weights = group_weights(groups, 200, seed=0)
    assert np.array_equal(weights[:, 0], weights[:, 2])
    assert np.array_equal(weights[:, 1], weights[:, 5])
    assert np.array_equal(weights[:, 0] + weights[:, 1] + weights[:, 3], np.full(200, 3))
    assert np.array_equal(weights, group_weights(groups, 200, seed=0))
    assert not np.array_equal(weights, group_weights(groups, 200, seed=1))


def test_resamples_without_a_value_are_left_out_of_the_interval() -> None:
    found = estimate(0.5, np.array([np.nan, 0.4, 0.6, np.nan]))
    assert found.low == pytest.approx(0.405)
    assert found.high == pytest.approx(0.595)


def test_a_patient_has_one_answer_and_confident_slices_weigh_more() -> None:
    shares = np.array([[0.9, 0.1], [0.45, 0.55], [0.45, 0.55], [0.2, 0.8]])
    labels = np.array([0, 0, 0, 1])
    truth, answers, names = group_answers(shares, labels, ["p", "p", "p", "q"])
    assert list(zip(truth.tolist(), answers.tolist(), names, strict=True)) == [
        (0, 0, "p"),
        (1, 1, "q"),
    ]
