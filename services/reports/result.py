"""The class in words, never more certain than its prediction set and the input check."""

from dataclasses import dataclass
from typing import Literal

from neuroscan.contracts.enums import TumorClass
from neuroscan.contracts.results import Classification
from neuroscan.contracts.scan import ScanView
from services.reports.wording import CLASS_NAMES, percent, set_words

NOTHING_RULED_OUT = "No class can be ruled out"
TURNED_AWAY = "Turned away by the input check"


@dataclass(frozen=True)
class Bar:
    """A class and its probability."""

    name: str
    share: str
    percent: float
    top: bool


@dataclass(frozen=True)
class Part:
    """A piece of the headline; `before` joins it to the one before it."""

    before: str
    name: str
    share: str


@dataclass(frozen=True)
class Result:
    """The headline, large, with what qualifies it. The longer the headline, the smaller its type.

    `likeliest` names the first class where the headline names none, `unsettled` says that there
    may be a tumor or none.
    """

    headline: list[Part]
    size: Literal["large", "medium", "small"]
    likeliest: str | None
    calibration: str
    prediction_set: str
    unsettled: str | None
    bars: list[Bar]


def result_words(scan: ScanView) -> Result | None:
    """The result; None where there is no class."""
    found = scan.classification
    if found is None:
        return None
    return _turned_away(found) if scan.turned_away else _accepted(found)


def _accepted(found: Classification) -> Result:
    nothing_ruled_out = len(found.prediction_set) == len(TumorClass)
    coverage = f"{percent(found.coverage)} coverage (nominal)"
    open_question = len(found.prediction_set) > 1 and TumorClass.NO_TUMOR in found.prediction_set
    return Result(
        headline=[Part("", NOTHING_RULED_OUT, "")] if nothing_ruled_out else _parts(found),
        size=_size(found.prediction_set),
        likeliest=f"Likeliest: {_answer(found)}" if nothing_ruled_out else None,
        calibration="calibrated confidence" if found.calibrated else "confidence not calibrated",
        prediction_set=f"At {coverage}: {set_words(found.prediction_set)}.",
        unsettled=(
            f"Whether there is a tumor at all is not settled at {coverage}."
            if open_question
            else None
        ),
        bars=_bars(found),
    )


def _turned_away(found: Classification) -> Result:
    """The network names a class for any picture; this one doesn't get it large, nor a coverage."""
    return Result(
        headline=[Part("", TURNED_AWAY, "")],
        size="medium",
        likeliest=None,
        calibration=f"The network’s own answer, not calibrated: {_answer(found)}",
        prediction_set=f"{NOTHING_RULED_OUT}.",
        unsettled=None,
        bars=_bars(found),
    )


def _parts(found: Classification) -> list[Part]:
    """`Meningioma 51 % or pituitary 46 %`, in pieces."""
    parts = []
    for rank, label in enumerate(found.prediction_set):
        name = CLASS_NAMES[label] if rank == 0 else CLASS_NAMES[label].lower()
        last = rank == len(found.prediction_set) - 1
        before = "" if rank == 0 else " or " if last else ", "
        parts.append(Part(before, name, percent(_share(found, label))))
    return parts


def _size(labels: list[TumorClass]) -> Literal["large", "medium", "small"]:
    if len(labels) == 1:
        return "large"
    return "small" if len(labels) == len(TumorClass) - 1 else "medium"


def _answer(found: Classification) -> str:
    return f"{CLASS_NAMES[found.label].lower()}, {percent(found.confidence)}"


def _share(found: Classification, label: TumorClass) -> float:
    return float(getattr(found.probabilities, label))


def _bars(found: Classification) -> list[Bar]:
    shares = {label: _share(found, label) for label in TumorClass}
    return [
        Bar(CLASS_NAMES[label], percent(share, 1), 100 * share, label is found.label)
        for label, share in sorted(shares.items(), key=lambda item: -item[1])
    ]
