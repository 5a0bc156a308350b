"""Prediction sets from class probabilities (split conformal prediction).

Source: Sadinle, Lei, Wasserman, "Least ambiguous set-valued classifiers with bounded error
levels", 2019 (LAC): a class is in the set when its probability reaches one threshold.
"""

from collections.abc import Sequence

LAC = "lac"


def prediction_set(probabilities: Sequence[float], threshold: float) -> tuple[int, ...]:
    """Indices of the classes whose probability reaches `threshold`, the likeliest first.

    The likeliest class is always in the set, so that it is never empty; that can only raise its
    coverage.
    """
    order = sorted(range(len(probabilities)), key=lambda index: -probabilities[index])
    return tuple(
        index for rank, index in enumerate(order) if rank == 0 or probabilities[index] >= threshold
    )


def whole_set(probabilities: Sequence[float]) -> tuple[int, ...]:
    """All classes, the likeliest first: the set for a slice that the network can't judge."""
    return prediction_set(probabilities, 0.0)
