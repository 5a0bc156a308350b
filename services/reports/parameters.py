"""The ten spatial parameters as rows of the page."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from neuroscan.contracts.enums import Standing
from neuroscan.contracts.spatial import (
    AnatomicalRegion,
    HemisphereParameter,
    Interval,
    Parameter,
    SpatialParameters,
    SpatialRelation,
    Texture,
)
from services.reports.wording import (
    DASH,
    SIDE_WORDS,
    STANDING_SHAPES,
    STANDING_WORDS,
    length,
    number,
    percent,
    sentence,
)

ValueT = TypeVar("ValueT")
RangeT = TypeVar("RangeT")

NAMES = (
    "Anatomical region",
    "Hemisphere",
    "Spatial relation",
    "Tumor volume",
    "Maximum dimensions",
    "Texture",
    "Midline shift",
    "Edema volume",
    "Relative cerebral blood volume",
    "Confidence",
)

# From so many rows on, a common reason is said once for all.
SHARED_FROM = 4


@dataclass(frozen=True)
class ParameterRow:
    """One parameter: value (or a dash), what else is known of it, standing, and why.

    `notes` are numbers of the page's list of assumptions, as text: "1–3, 5".
    """

    name: str
    value: str
    detail: str
    shape: str
    standing: str
    reason: str
    notes: str


@dataclass(frozen=True)
class ParameterTable:
    """The ten rows, and what they share, each once: assumptions, and a reason of many rows.

    `shared_reason` is a sentence to print above the rows that lack it then.
    """

    rows: list[ParameterRow]
    assumptions: list[str]
    shared_reason: str


def parameter_table(spatial: SpatialParameters) -> ParameterTable:
    """The rows in the order of the API."""
    s = spatial
    rows = [
        _row(s.anatomical_region, _region(s.anatomical_region)),
        _row(s.hemisphere, _hemisphere(s.hemisphere)),
        _row(s.spatial_relation, _relation(s.spatial_relation)),
        _row(s.tumor_volume, _number(s.tumor_volume)),
        _row(s.maximum_dimensions, _dimensions(s.maximum_dimensions)),
        _row(s.texture, _texture(s.texture)),
        _row(s.midline_shift, _shift(s.midline_shift)),
        _row(s.edema_volume, _number(s.edema_volume)),
        _row(s.relative_cerebral_blood_volume, _number(s.relative_cerebral_blood_volume)),
        _row(s.confidence, _confidence(s.confidence)),
    ]
    assumptions = list(dict.fromkeys(text for row in rows for text in row.assumptions))
    shared = _shared_reason(rows)
    return ParameterTable(
        [
            ParameterRow(
                name,
                row.value,
                row.detail,
                STANDING_SHAPES[row.status],
                STANDING_WORDS[row.status],
                "" if row.reason == shared else row.reason,
                _runs(sorted({assumptions.index(text) + 1 for text in row.assumptions})),
            )
            for name, row in zip(NAMES, rows, strict=True)
        ],
        assumptions,
        shared,
    )


def _shared_reason(rows: list["_Row"]) -> str:
    """The reason of at least so many rows that saying it in each would hide the rest."""
    counts = Counter(row.reason for row in rows if row.reason)
    return next((reason for reason, count in counts.most_common(1) if count >= SHARED_FROM), "")


@dataclass(frozen=True)
class _Row:
    """A parameter in words, before its assumptions are numbered."""

    value: str
    detail: str
    status: Standing
    reason: str
    assumptions: list[str]


def _row(parameter: Parameter[ValueT, RangeT], words: tuple[str, str]) -> _Row:
    return _Row(
        *words,
        parameter.status,
        sentence(parameter.reason or ""),
        [sentence(text) for text in parameter.assumptions],
    )


def _region(parameter: Parameter[AnatomicalRegion, None]) -> tuple[str, str]:
    found = parameter.value
    if found is None:
        return DASH, ""
    others = ", ".join(
        f"{other.name.lower()} {percent(other.probability)}" for other in found.alternatives[:2]
    )
    detail = f"{percent(found.probability)} of the region"
    return found.name.capitalize(), f"{detail}; {others}" if others else detail


def _hemisphere(parameter: HemisphereParameter) -> tuple[str, str]:
    side = parameter.image_side
    detail = f"picture: {SIDE_WORDS[side].lower()}" if side else ""
    return SIDE_WORDS[parameter.value] if parameter.value else DASH, detail


def _relation(parameter: Parameter[SpatialRelation, None]) -> tuple[str, str]:
    found = parameter.value
    if found is None:
        return DASH, ""
    detail = f"{length(found.to_edge_mm)} mm to the brain's edge"
    if found.to_midline_mm is not None:
        detail += f", {length(found.to_midline_mm)} mm to the midline"
    return f"{found.axis.capitalize()}-axial, {found.depth}", detail


def _dimensions(
    parameter: Parameter[tuple[float, float, float], tuple[Interval, Interval, Interval]],
) -> tuple[str, str]:
    if parameter.value is None:
        return DASH, ""
    value = " × ".join(length(axis) for axis in parameter.value) + " mm"
    if parameter.range is None:
        return value, ""
    return value, " × ".join(f"{length(low)}–{length(high)}" for low, high in parameter.range)


def _texture(parameter: Parameter[Texture, None]) -> tuple[str, str]:
    found = parameter.value
    if found is None:
        return DASH, ""
    features = found.features
    return sentence(found.category).rstrip("."), (
        f"variation {number(features.coefficient_of_variation, 2)}, "
        f"entropy {number(features.entropy_bits, 2)} bits"
    )


def _shift(parameter: Parameter[float, Interval]) -> tuple[str, str]:
    if parameter.value is None:
        return _number(parameter)
    value = f"{parameter.value:.1f} mm"
    low_high = parameter.range
    detail = f"{low_high[0]:.1f} to {low_high[1]:.1f} mm" if low_high else ""
    return _with_category(value, parameter.category), detail


def _confidence(parameter: Parameter[float, Interval]) -> tuple[str, str]:
    if parameter.value is None:
        return DASH, ""
    low_high = parameter.range
    detail = f"{percent(low_high[0])} to {percent(low_high[1])}" if low_high else ""
    return _with_category(percent(parameter.value), parameter.category), detail


def _number(parameter: Parameter[float, Interval]) -> tuple[str, str]:
    """A number with unit and range, or a dash and the surrogate."""
    if parameter.surrogate is not None:
        stand_in = parameter.surrogate
        unit = "" if stand_in.unit in ("", "1", "ratio") else f" {stand_in.unit}"
        text = f"{stand_in.quantity}: {number(stand_in.value)}{unit}"
        if parameter.range is not None:
            low, high = parameter.range
            text += f" ({number(low)} to {number(high)})"
        return DASH, _with_category(text, parameter.category)
    if parameter.value is None:
        return DASH, ""
    unit = f" {parameter.unit}" if parameter.unit else ""
    value = _with_category(f"{number(parameter.value)}{unit}", parameter.category)
    if parameter.range is None:
        return value, ""
    low, high = parameter.range
    return value, f"{number(low)} to {number(high)}{unit}"


def _with_category(text: str, category: str | None) -> str:
    return f"{text}, {category.lower()}" if category else text


def _runs(numbers: Sequence[int]) -> str:
    """Ascending numbers with runs of three and more drawn together: `1–3, 5`."""
    runs: list[list[int]] = [[first] for first in numbers[:1]]
    for before, after in pairwise(numbers):
        if after == before + 1:
            runs[-1].append(after)
        else:
            runs.append([after])
    parts = [
        f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(str(each) for each in run)
        for run in runs
    ]
    return ", ".join(parts)
