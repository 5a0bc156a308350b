"""What the network answers with the tumor hidden, without the skull, and from the skull alone."""

import logging
from collections.abc import Callable

import numpy as np

from services.spatial.head import Mask
from training.evaluation import HiddenFigures
from training.measure import measure_hidden
from training.metrics import Floats, Ints
from training.shortcuts import head_of, only_shell, without_shell, without_tumor
from training.subject import Pixels, Subject

TUMOR = "tumor filled in"
SHELL = "scalp and skull black"
ALL_BUT_SHELL = "all but scalp and skull black"

log = logging.getLogger(__name__)


def measure_shortcuts(
    subject: Subject, answers: Ints, weights: Floats
) -> tuple[HiddenFigures, ...]:
    """The figures of every kind and class beside the `answers` (N) to the slices as they are.

    The tumor is hidden where it is outlined. On slices without a tumor the outlines of others are
    filled in, wherever they come to lie there, which shows what the filling alone does.
    """
    log.info("with something hidden")
    every = list(range(len(subject.cases)))
    outlined = [place for place in every if subject.cases[place].picture.mask is not None]
    healthy = [place for place in every if subject.cases[place].picture.label == "no_tumor"]
    found = []
    if outlined:
        borrowed = [outlined[n * len(outlined) // len(healthy)] for n in range(len(healthy))]
        places, donors = outlined + healthy, outlined + borrowed
        found.append((TUMOR, places, _filled(subject, places, donors)))
    for hidden, change in ((SHELL, without_shell), (ALL_BUT_SHELL, only_shell)):
        found.append((hidden, every, _without_part(subject, hidden, change)))
    return tuple(
        row
        for hidden, places, after in found
        for row in measure_hidden(
            hidden,
            answers[places],
            after,
            subject.labels[places],
            [subject.groups[place] for place in places],
            subject.bundle.description.classes,
            weights[:, places],
        )
    )


def _without_part(subject: Subject, hidden: str, change: Callable[[Pixels, Mask], Pixels]) -> Ints:
    """The answers to all slices with a part of the head hidden."""
    return subject.answers(
        hidden, lambda pixels: change(pixels, head_of(pixels)), range(len(subject.cases))
    )


def _filled(subject: Subject, places: list[int], donors: list[int]) -> Ints:
    """The answers to the slices at `places` with the tumors outlined at `donors` filled in."""

    def filled(place: int, donor: int) -> Pixels:
        pixels = subject.pixels(place)
        shape = (pixels.shape[0], pixels.shape[1])
        return without_tumor(pixels, subject.packs.mask(subject.cases[donor].picture, shape))

    slices = (filled(*pair) for pair in zip(places, donors, strict=True))
    logits, _ = subject.observe(TUMOR, slices, [subject.paths(places), subject.paths(donors)])
    return np.asarray(logits.argmax(dim=1).numpy(), dtype=np.int64)
