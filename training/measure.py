"""From the network's answers to the figures of an evaluation. Pure: arrays in, figures out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neuroscan.network.conformal import prediction_set
from training.evaluation import (
    ALL_CLASSES,
    ChangeFigures,
    ClassCoverage,
    ClassFigures,
    HiddenFigures,
    MacroFigures,
    PartFigures,
    SetFigures,
)
from training.metrics import (
    Estimate,
    Floats,
    Ints,
    auc,
    confusion,
    estimate,
    group_answers,
    group_weights,
    mean_estimate,
    rates,
)

RATES = ("sensitivity", "specificity", "precision", "f1")


def measure_classes(
    probabilities: Floats,
    labels: Ints,
    groups: Sequence[str],
    classes: Sequence[str],
    weights: Floats,
    seed: int,
) -> tuple[tuple[ClassFigures, ...], MacroFigures]:
    """Each class against the rest, and their plain mean; `weights` (B, N) are the resamples."""
    count = len(classes)
    answers = np.asarray(probabilities.argmax(axis=1), dtype=np.int64)
    point = rates(confusion(labels, answers, count))
    resampled = rates(confusion(labels, answers, count, weights))
    figures = {name: (getattr(point, name), getattr(resampled, name)) for name in RATES}
    truths = [labels == index for index in range(count)]
    figures["auc"] = (
        np.array([auc(probabilities[:, i], truth) for i, truth in enumerate(truths)]),
        np.stack([auc(probabilities[:, i], truth, weights) for i, truth in enumerate(truths)], 1),
    )
    figures["group_recall"] = _group_recall(
        probabilities, labels, groups, count, len(weights), seed
    )
    found = tuple(
        ClassFigures(
            name=name,
            slices=int(truths[index].sum()),
            groups=_count_groups(groups, truths[index]),
            **{
                key: _maybe(value[index], resamples[:, index])
                for key, (value, resamples) in figures.items()
            },
        )
        for index, name in enumerate(classes)
    )
    macro = MacroFigures(
        **{
            key: _maybe(float(value.mean()), resamples.mean(axis=1))
            for key, (value, resamples) in figures.items()
        }
    )
    return found, macro


def measure_groups(
    probabilities: Floats, labels: Ints, groups: Sequence[str], resamples: int, seed: int
) -> Estimate:
    """Accuracy with one answer a group."""
    truth, answers, names = group_answers(probabilities, labels, groups)
    weights = group_weights(names, resamples, seed)
    return mean_estimate((truth == answers).astype(np.float64), weights)


def measure_sets(
    probabilities: Floats,
    labels: Ints,
    groups: Sequence[str],
    classes: Sequence[str],
    threshold: float,
    nominal: float,
    weights: Floats,
) -> SetFigures:
    """Coverage and size of the prediction sets at `threshold`."""
    sets = [prediction_set(row.tolist(), threshold) for row in probabilities]
    held = np.array(
        [label in chosen for label, chosen in zip(labels.tolist(), sets, strict=True)], dtype=float
    )
    sizes = np.array([len(chosen) for chosen in sets])
    _, member, slices = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    votes = 1 / slices[member]
    return SetFigures(
        nominal=nominal,
        threshold=threshold,
        coverage=mean_estimate(held, weights),
        group_coverage=float((held * votes).sum() / votes.sum()),
        mean_size=float(sizes.mean()),
        sizes=tuple(float((sizes == size).mean()) for size in range(1, len(classes) + 1)),
        classes=tuple(
            ClassCoverage(
                name=name,
                coverage=(
                    mean_estimate(held[labels == index], weights[:, labels == index])
                    if (labels == index).any()
                    else None
                ),
                mean_size=float(sizes[labels == index].mean()) if (labels == index).any() else 0.0,
            )
            for index, name in enumerate(classes)
        ),
    )


def measure_change(
    kind: str, strength: str, before: Ints, after: Ints, labels: Ints, weights: Floats
) -> ChangeFigures:
    """Answers (N) before and after a change of the slices."""
    return ChangeFigures(
        kind=kind,
        strength=strength,
        accuracy=mean_estimate((after == labels).astype(np.float64), weights),
        answer_changes=mean_estimate((after != before).astype(np.float64), weights),
    )


def measure_parts(
    names: Sequence[str],
    right: NDArray[np.bool_],
    labels: Ints,
    groups: Sequence[str],
    classes: Sequence[str],
    weights: Floats,
) -> tuple[PartFigures, ...]:
    """Recall of every class within every plane (or source) that `names` (N) gives the slices.

    And of all classes together, where there are several.
    """
    found = []
    for name in sorted(set(names)):
        inside = np.array([other == name for other in names])
        several = len(np.unique(labels[inside])) > 1
        rows = [(label, inside & (labels == index)) for index, label in enumerate(classes)]
        for label, chosen in [*rows, *([(ALL_CLASSES, inside)] if several else [])]:
            if chosen.any():
                found.append(
                    PartFigures(
                        name=name,
                        label=label,
                        slices=int(chosen.sum()),
                        groups=_count_groups(groups, chosen),
                        recall=mean_estimate(right[chosen].astype(np.float64), weights[:, chosen]),
                    )
                )
    return tuple(found)


def measure_hidden(
    hidden: str,
    before: Ints,
    after: Ints,
    labels: Ints,
    groups: Sequence[str],
    classes: Sequence[str],
    weights: Floats,
) -> tuple[HiddenFigures, ...]:
    """Of every class: the answers (N) on its slices as they are and with something hidden."""
    healthy = (after == classes.index("no_tumor")).astype(np.float64)
    found = []
    for index, label in enumerate(classes):
        chosen = labels == index
        if not chosen.any():
            continue
        own = weights[:, chosen]
        found.append(
            HiddenFigures(
                hidden=hidden,
                label=label,
                slices=int(chosen.sum()),
                groups=_count_groups(groups, chosen),
                before=mean_estimate((before == index)[chosen].astype(np.float64), own),
                after=mean_estimate((after == index)[chosen].astype(np.float64), own),
                healthy=mean_estimate(healthy[chosen], own),
            )
        )
    return tuple(found)


def _group_recall(
    probabilities: Floats,
    labels: Ints,
    groups: Sequence[str],
    classes: int,
    resamples: int,
    seed: int,
) -> tuple[Floats, Floats]:
    truth, answers, names = group_answers(probabilities, labels, groups)
    weights = group_weights(names, resamples, seed)
    point = rates(confusion(truth, answers, classes)).sensitivity
    return point, rates(confusion(truth, answers, classes, weights)).sensitivity


def _count_groups(groups: Sequence[str], chosen: NDArray[np.bool_]) -> int:
    return len({group for group, inside in zip(groups, chosen, strict=True) if inside})


def _maybe(value: float, resampled: Floats) -> Estimate | None:
    return None if np.isnan(value) else estimate(float(value), resampled)
