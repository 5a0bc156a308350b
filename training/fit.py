"""What is fitted to a trained network: temperature and conformal threshold. Pure functions."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from training.splits import fold_of


def fit_temperature(logits: Tensor, labels: NDArray[np.int64]) -> float:
    """The temperature T that makes the log loss of softmax(logits / T) least, 0.05 to 20.

    Source: Guo et al., "On calibration of modern neural networks", 2017. Golden-section search on
    log T; the loss is convex in 1/T, so it has one minimum.
    """
    low, high = float(np.log(0.05)), float(np.log(20.0))
    ratio = (5**0.5 - 1) / 2
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if log_loss(logits, labels, float(np.exp(left))) < log_loss(
            logits, labels, float(np.exp(right))
        ):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def temperature_for_others(
    logits: Tensor, labels: NDArray[np.int64], groups: Sequence[str]
) -> float:
    """`fit_temperature`, or 1 where it does not carry over to groups that it was not fitted on.

    Each fold of the groups is scaled by the temperature that the other folds ask for; when that
    does not lower the log loss of the whole (N), a temperature would only flatter these slices.
    """
    folds = np.array([fold_of(group) for group in groups])
    total = 0.0
    for fold in np.unique(folds):
        held, others = folds == fold, folds != fold
        temperature = fit_temperature(logits[others], labels[others])
        total += log_loss(logits[held], labels[held], temperature) * int(held.sum())
    if total / len(folds) < log_loss(logits, labels, 1.0):
        return fit_temperature(logits, labels)
    return 1.0


def log_loss(logits: Tensor, labels: NDArray[np.int64], temperature: float) -> float:
    """Mean negative log-probability of the true class, in nats."""
    return float(cross_entropy(logits.double() / temperature, torch.from_numpy(labels)))


def probabilities(logits: Tensor, temperature: float) -> NDArray[np.float64]:
    """softmax(logits / T), (N, classes)."""
    return np.asarray(torch.softmax(logits.double() / temperature, dim=1).numpy())


def lac_threshold(
    true_probability: NDArray[np.float64], groups: Sequence[str], coverage: float
) -> float:
    """The probability that a class must reach to be in the prediction set.

    `true_probability` (N) is what the network gave the true class. Every group has one vote, shared
    by its slices, so that a patient with many slices does not outvote the rest. The threshold is
    the largest at which the groups' votes for "covered" reach coverage times (groups + 1), the
    finite-sample correction of split conformal prediction; 0 when there are too few groups.
    """
    sizes = Counter(groups)
    votes = np.array([1 / sizes[group] for group in groups])
    order = np.argsort(-true_probability)
    reached = np.cumsum(votes[order])
    needed = coverage * (len(sizes) + 1)
    position = int(np.searchsorted(reached, needed - 1e-9))
    return float(true_probability[order[position]]) if position < len(order) else 0.0


def class_threshold(
    true_probability: NDArray[np.float64],
    labels: NDArray[np.int64],
    groups: Sequence[str],
    coverage: float,
) -> tuple[float, tuple[int, ...]]:
    """`lac_threshold` low enough for all slices (N) and for those of each class by themselves.

    Over all of them, a class that is never mistaken makes up for one that often is. A class has a
    say where its groups are enough for the finite-sample correction, at a coverage of 0.95 nineteen
    of them; these are returned beside the threshold. Source: label-conditional conformal prediction
    (Vovk, "Conditional validity of inductive conformal predictors", 2012), with one threshold for
    all classes, the lowest, so that a set never leaves out a likelier class than it holds.
    """
    threshold = lac_threshold(true_probability, groups, coverage)
    heard = []
    for label in np.unique(labels):
        own = labels == label
        names = [group for group, chosen in zip(groups, own, strict=True) if chosen]
        if coverage * (len(set(names)) + 1) > len(set(names)) + 1e-9:
            continue
        heard.append(int(label))
        threshold = min(threshold, lac_threshold(true_probability[own], names, coverage))
    return threshold, tuple(heard)
