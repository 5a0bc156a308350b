"""What an evaluation found, as it stands in `evaluation.json`; the card is written from this alone.

Shares are 0 to 1. `Estimate` holds a 95 % interval that resamples groups. Numbers are rounded to
four decimals before they are written, so that the card shows exactly what the file holds.
"""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from neuroscan.network.fields import FieldError, read_fields
from training.calibration import CalibrationFigures
from training.errors import DataError
from training.metrics import Estimate
from training.settings import Settings

DECIMALS = 4
ALL_CLASSES = "all classes"


@dataclass(frozen=True)
class Measured:
    """Which bundle was measured on what, with which seed and number of bootstrap resamples.

    `copies_in_training` is above 0 only for the published split, whose Testing folder holds copies
    of its own Training folder. `related_to_training` counts the slices whose group has a picture
    among the training pictures; `patients` the groups that are known patients.
    """

    bundle: str
    version: str
    sha256: str
    split: str
    part: str
    slices: int
    groups: int
    patients: int
    copies_in_training: int
    related_to_training: int
    seed: int
    resamples: int
    settings: Settings


@dataclass(frozen=True)
class ClassFigures:
    """One class against the rest; None where the part has no slice that the figure needs.

    `group_recall` counts one answer a group: the class with the highest mean probability.
    """

    name: str
    slices: int
    groups: int
    sensitivity: Estimate | None
    specificity: Estimate | None
    precision: Estimate | None
    f1: Estimate | None
    auc: Estimate | None
    group_recall: Estimate | None


@dataclass(frozen=True)
class MacroFigures:
    """The plain mean of the classes' figures; None where a class has none."""

    sensitivity: Estimate | None
    specificity: Estimate | None
    precision: Estimate | None
    f1: Estimate | None
    auc: Estimate | None
    group_recall: Estimate | None


@dataclass(frozen=True)
class ClassCoverage:
    """How often the prediction set holds the true class, over slices of that class."""

    name: str
    coverage: Estimate | None
    mean_size: float


@dataclass(frozen=True)
class SetFigures:
    """Prediction sets (never empty) at the bundle's threshold.

    `group_coverage` gives every group one vote, as the threshold was fitted; `sizes` are the shares
    of sets with one, two, three and four classes.
    """

    nominal: float
    threshold: float
    coverage: Estimate
    group_coverage: float
    mean_size: float
    sizes: tuple[float, ...]
    classes: tuple[ClassCoverage, ...]


@dataclass(frozen=True)
class KindTurnedAway:
    """Pictures of one kind that are no brain MRI, and how many the input check turned away."""

    kind: str
    pictures: int
    turned_away: int


@dataclass(frozen=True)
class InputCheckFigures:
    """The input check: rates at the bundle's threshold, and the AUROC of its distance.

    `given` are the files of the folder of other pictures, `skipped` those that can't be read here.
    """

    threshold: float
    slices_turned_away: Estimate
    pictures: int
    pictures_turned_away: int
    auroc: float
    kinds: tuple[KindTurnedAway, ...]
    given: tuple[KindTurnedAway, ...]
    given_auroc: float | None
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class ChangeFigures:
    """Accuracy on changed slices, and the share whose answer is not that on the slice itself."""

    kind: str
    strength: str
    accuracy: Estimate
    answer_changes: Estimate


@dataclass(frozen=True)
class Robustness:
    """Accuracy of the sampled slices as they are, and after every change."""

    slices: int
    accuracy: Estimate
    changes: tuple[ChangeFigures, ...]


@dataclass(frozen=True)
class PartFigures:
    """A class within a plane or source: how many slices and groups, and its recall there.

    Of `ALL_CLASSES` together the recall is the accuracy.
    """

    name: str
    label: str
    slices: int
    groups: int
    recall: Estimate


@dataclass(frozen=True)
class HiddenFigures:
    """The answers on a class's slices with something hidden (`training.shortcuts`).

    `before` is the share that is given the class as the slices are, `after` with it hidden;
    `healthy` the share then called no tumor.
    """

    hidden: str
    label: str
    slices: int
    groups: int
    before: Estimate
    after: Estimate
    healthy: Estimate


@dataclass(frozen=True)
class MapFigures:
    """What the default map shows on some slices, explaining the network's own answer.

    Means over slices with positive evidence: `in_head` is the share of it inside the head's
    outline, `region_share` the region's share of the picture. `peak_in_head` counts every slice.
    For masked slices, `pointing` is the share whose peak lies inside the tumor and `energy` the
    mean share of evidence inside it; else None.
    """

    slices: int
    without_evidence: int
    peak_in_head: float
    in_head: float
    region_share: float
    pointing: Estimate | None
    energy: Estimate | None
    mask_share: float | None


@dataclass(frozen=True)
class Maps:
    """The default method and layer on slices without and with a tumor."""

    method: str
    layer: str
    healthy: MapFigures | None
    tumors: MapFigures | None


@dataclass(frozen=True)
class Evaluation:
    """Everything; what a quick run leaves out is None."""

    notice: str
    measured: Measured
    accuracy: Estimate
    group_accuracy: Estimate
    classes: tuple[ClassFigures, ...]
    macro: MacroFigures
    confusion: tuple[tuple[int, ...], ...]
    unscaled: CalibrationFigures
    scaled: CalibrationFigures
    sets: SetFigures
    planes: tuple[PartFigures, ...]
    sources: tuple[PartFigures, ...]
    mirrored: ChangeFigures | None
    input_check: InputCheckFigures | None
    robustness: Robustness | None
    shortcuts: tuple[HiddenFigures, ...] | None
    maps: Maps | None


FoundT = TypeVar("FoundT")


def write_json(path: Path, found: object) -> None:
    """Write a frozen dataclass, floats rounded to `DECIMALS`."""
    if not dataclasses.is_dataclass(found) or isinstance(found, type):
        raise TypeError("only an instance of a dataclass can be written")
    content = json.dumps(rounded(dataclasses.asdict(found)), indent=2, ensure_ascii=False) + "\n"
    path.write_text(content, encoding="utf-8")


def read_found(path: Path, kind: type[FoundT]) -> FoundT:
    """The dataclass that `write_json` wrote; raises `DataError` when the file is not that."""
    try:
        return read_fields(kind, json.loads(path.read_text(encoding="utf-8")), path.name)
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}") from error
    except (ValueError, FieldError) as error:
        raise DataError(f"{path}: {error}") from error


def rounded(value: object) -> object:
    """The same JSON value with every float rounded."""
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value
