"""How far two engines' answers are apart; needs no more than the network itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.facts import OUT
from neuroscan.network.bundle import Bundle
from services.inference.engine import Engine, Prediction

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Difference:
    """The largest differences of a probability, and of the distance as a share of the right one."""

    slices: int
    probability: float
    distance_share: float
    other_label: int
    other_acceptance: int


def difference(
    bundle: Bundle, found: Sequence[Prediction], right: Sequence[Prediction]
) -> Difference:
    """How far answers are from those that they must equal."""
    one, other = (np.array([row.probabilities for row in rows]) for rows in (found, right))
    near, far = (np.array([row.distance for row in rows]) for rows in (found, right))
    threshold = bundle.description.input_check.threshold
    return Difference(
        slices=len(found),
        probability=float(np.abs(one - other).max()),
        distance_share=float((np.abs(near - far) / far).max()),
        other_label=int((one.argmax(axis=1) != other.argmax(axis=1)).sum()),
        other_acceptance=int(((near <= threshold) != (far <= threshold)).sum()),
    )


def answers_of(engine: Engine, slices: Sequence[Pixels], at_once: int) -> list[Prediction]:
    """The engine's answers, in batches of so many slices."""
    answers: list[Prediction] = []
    for first in range(0, len(slices), at_once):
        prepared = [engine.prepare(pixels) for pixels in slices[first : first + at_once]]
        answers += engine.predict(prepared)
    return answers


def test_part(bundle: Bundle, data: Path) -> Iterator[Pixels]:
    """The slices of the patient split's test part, from the folder with `manifest.csv`."""
    from training.subject import open_subject  # noqa: PLC0415 - only where the slices are

    with open_subject(bundle.folder, data, "patient", OUT / "engines") as subject:
        yield from (subject.pixels(place) for place in range(len(subject.cases)))
