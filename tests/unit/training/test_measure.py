"""From answers to figures: prediction sets, classes, planes, the input check."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from neuroscan.network.input_check import InputCheckModel
from training.check_figures import measure_input_check
from training.fit import lac_threshold
from training.measure import (
    measure_change,
    measure_classes,
    measure_groups,
    measure_parts,
    measure_sets,
)
from training.metrics import group_weights

CLASSES = ("glioma", "meningioma", "no_tumor", "pituitary")


def drawn(count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64], list[str]]:
    """Probabilities, labels drawn from exactly them, and groups of three slices."""
    generator = np.random.default_rng(seed)
    raw = np.exp(generator.normal(0, 2, size=(count, 4)))
    shares = raw / raw.sum(axis=1, keepdims=True)
    labels = np.array([generator.choice(4, p=row) for row in shares], dtype=np.int64)
    return shares, labels, [f"g{index // 3}" for index in range(count)]


def test_sets_fitted_on_one_half_cover_the_other_at_the_nominal_rate() -> None:
    shares, labels, groups = drawn(3000, seed=1)
    threshold = lac_threshold(shares[np.arange(3000), labels], groups, 0.9)
    shares, labels, groups = drawn(3000, seed=2)
    weights = group_weights(groups, 300, seed=0)
    found = measure_sets(shares, labels, groups, CLASSES, threshold, 0.9, weights)
    assert found.coverage.value == pytest.approx(0.9, abs=0.02)
    assert found.coverage.low < 0.9 < found.coverage.high
    assert found.group_coverage == pytest.approx(found.coverage.value, abs=1e-9)
    assert sum(found.sizes) == pytest.approx(1)
    assert found.mean_size == pytest.approx(np.dot(found.sizes, [1, 2, 3, 4]))


def test_sets_are_never_empty_and_a_group_has_one_vote() -> None:
    shares = np.array([[0.4, 0.2, 0.2, 0.2]] * 4)
    labels, groups = np.array([0, 1, 1, 1]), ["a", "b", "b", "b"]
    weights = group_weights(groups, 50, seed=0)
    found = measure_sets(shares, labels, groups, CLASSES, 0.9, 0.95, weights)
    assert list(found.sizes) == [1, 0, 0, 0]
    assert found.coverage.value == 0.25
    assert found.group_coverage == pytest.approx(0.5)
    assert [one.coverage.value if one.coverage else None for one in found.classes] == [
        1, 0, None, None,
    ]  # fmt: skip


def test_a_class_without_slices_has_no_figures_and_the_others_have() -> None:
    shares, labels, groups = drawn(300, seed=3)
    few = labels != 2
    chosen = [group for group, inside in zip(groups, few, strict=True) if inside]
    weights = group_weights(chosen, 200, seed=0)
    classes, macro = measure_classes(shares[few], labels[few], chosen, CLASSES, weights, seed=0)
    assert (classes[2].slices, classes[2].sensitivity, classes[2].auc) == (0, None, None)
    assert macro.sensitivity is None
    assert macro.specificity is not None
    for one in (classes[0], classes[1], classes[3]):
        assert one.sensitivity is not None
        assert one.auc is not None
        assert one.sensitivity.low <= one.sensitivity.value <= one.sensitivity.high
        assert one.auc.low <= one.auc.value <= one.auc.high


def test_macro_figures_are_plain_means() -> None:
    shares, labels, groups = drawn(600, seed=4)
    weights = group_weights(groups, 100, seed=0)
    classes, macro = measure_classes(shares, labels, groups, CLASSES, weights, seed=0)
    for name in ("sensitivity", "specificity", "precision", "f1", "auc", "group_recall"):
        values = [getattr(one, name).value for one in classes]
        assert getattr(macro, name).value == pytest.approx(np.mean(values))
    assert sum(one.slices for one in classes) == 600


def test_a_group_counts_once_however_many_slices_it_has() -> None:
    shares = np.array([[0.9, 0.1]] * 9 + [[0.9, 0.1]])
    labels = np.array([0] * 9 + [1])
    groups = ["many"] * 9 + ["one"]
    assert measure_groups(shares, labels, groups, 100, seed=0).value == 0.5


def test_changed_answers_are_counted_beside_accuracy() -> None:
    before, after = np.array([0, 1, 2, 3]), np.array([0, 1, 3, 2])
    labels = np.array([0, 0, 3, 3])
    weights = group_weights(list("abcd"), 50, seed=0)
    found = measure_change("noise", "some", before, after, labels, weights)
    assert found.accuracy.value == 0.5
    assert found.answer_changes.value == 0.5


def test_recall_by_plane_is_over_that_plane_alone() -> None:
    names = ["axial", "axial", "coronal", "coronal"]
    right = np.array([True, False, True, True])
    labels = np.array([0, 0, 0, 1])
    groups = ["a", "b", "c", "d"]
    found = measure_parts(names, right, labels, groups, CLASSES, group_weights(groups, 50, seed=0))
    assert [(one.name, one.label, one.slices, one.recall.value) for one in found] == [
        ("axial", "glioma", 2, 0.5),
        ("coronal", "glioma", 1, 1.0),
        ("coronal", "meningioma", 1, 1.0),
        # Only where several classes are there: their accuracy.
        ("coronal", "all classes", 2, 1.0),
    ]


def test_the_input_check_s_rates_and_area() -> None:
    generator = torch.Generator().manual_seed(0)
    trained = torch.randn((400, 12), generator=generator)
    check = InputCheckModel.fit(trained, 4)
    slices = torch.randn((200, 12), generator=generator)
    far = torch.randn((30, 12), generator=generator) * 8
    groups = [str(index) for index in range(200)]
    threshold = float(np.quantile(check.score(slices).numpy(), 0.98))
    found = measure_input_check(
        check,
        threshold,
        slices,
        group_weights(groups, 100, seed=0),
        {"far": far, "near": slices[:10]},
        [("one.png", far[:1])],
        ["two.dcm"],
    )
    assert found.slices_turned_away.value == pytest.approx(0.02, abs=0.006)
    assert (found.pictures, found.kinds[0].turned_away) == (40, 30)
    assert found.kinds[1].turned_away <= 1
    assert 0.8 < found.auroc < 1
    assert found.given_auroc == 1
    assert found.skipped == ("two.dcm",)
