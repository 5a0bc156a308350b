"""The card's section on regions and spatial parameters, written from the figures alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.phantom_grid import EndToEnd, PhantomErrors
from benchmarks.slices import MAP, PRODUCT, SEGMENTATION
from benchmarks.tables import ErrorFigures, PartFigures, SourceFigures
from training.figures import readable
from training.markdown import number, share, table
from training.metrics import Estimate
from training.settings import Settings

SOURCE_NAMES = {
    MAP: "heat map alone",
    SEGMENTATION: "segmentation",
    PRODUCT: "as the system reports it",
}


@dataclass(frozen=True)
class Spatial:
    """All that was measured, of which weights; without slices when only phantoms were asked for."""

    notice: str
    bundle: str
    version: str
    software: str
    part: str
    sha256: str
    segmenter_sha256: str | None
    settings: Settings
    seed: int
    phantoms: tuple[PhantomErrors, ...]
    end_to_end: tuple[EndToEnd, ...]
    sources: tuple[SourceFigures, ...] = ()
    parts: tuple[PartFigures, ...] = ()
    healthy: int = 0
    silent: Estimate | None = None


@dataclass(frozen=True)
class Target:
    """A figure to reach, with what is the least; `below` says that smaller is better."""

    name: str
    source: str
    aim: float
    least: float | None
    below: bool
    read: Callable[[SourceFigures], Estimate | None]
    show: Callable[[float], str]


def _per_cent(value: float) -> str:
    return f"{value:.1%}"


def _median(read: Callable[[SourceFigures], ErrorFigures | None]) -> (
    Callable[[SourceFigures], Estimate | None]
):  # fmt: skip
    def median(found: SourceFigures) -> Estimate | None:
        errors = read(found)
        return errors.median if errors else None

    return median


_CENTROID = _median(lambda found: found.centroid_mm)
_LONGEST = _median(lambda found: found.longest_percent)
TARGETS = (
    Target("peak inside the tumor", SEGMENTATION, 0.97, 0.93, False, lambda f: f.peak_inside,
           _per_cent),
    Target("median Dice", SEGMENTATION, 0.85, 0.80, False, lambda f: f.dice, "{:.3f}".format),
    Target("median centroid error", SEGMENTATION, 2.0, 3.0, True, _CENTROID, "{:.2f} mm".format),
    Target("median error of the longest diameter", SEGMENTATION, 8.0, 12.0, True, _LONGEST,
           "{:.1f} %".format),
    Target("side right, lateralized tumors", SEGMENTATION, 0.99, 0.98, False,
           lambda f: f.side_right, _per_cent),
    Target("peak inside the tumor", MAP, 0.75, None, False, lambda f: f.peak_inside, _per_cent),
    Target("median Dice", MAP, 0.45, None, False, lambda f: f.dice, "{:.3f}".format),
    Target("median centroid error", MAP, 12.0, None, True, _CENTROID, "{:.2f} mm".format),
    Target("median error of the longest diameter", MAP, 35.0, None, True, _LONGEST,
           "{:.1f} %".format),
    Target("side right, lateralized tumors", MAP, 0.95, None, False, lambda f: f.side_right,
           _per_cent),
)  # fmt: skip
SILENT_AIM, SILENT_LEAST = 0.98, 0.95


def spatial_section(found: Spatial) -> str:
    """The section, in Markdown."""
    blocks = ["### Regions and spatial parameters"]
    if found.sources:
        blocks += [
            (
                f"On {found.sources[0].slices} test slices with an annotated tumor (0.98 mm a "
                "pixel). The heat map explains the network's own answer. A slice without a region "
                "is a miss, has Dice 0 and the wrong side; errors stand on the slices with one. "
                "Spacing and plane are given, so that the region's error stands alone. In "
                "brackets: 95 % intervals by patient group. The segmentation needs a clearer peak "
                "for a region in a slice that the network classifies as no tumor than in one that "
                "it classifies as a tumor."
            ),
            _target_table(found),
            _source_table(found.sources),
            (
                "*Range holds*: the annotated longest diameter lies within the range that stands "
                "beside the value. *As the system reports it*: the segmentation's region, else the "
                "map's, and none when the slice is classified as no tumor or the input check turns "
                "it away. *Side right*: the "
                "region's centroid lies on the tumor's side of the midline, on axial and coronal "
                "slices whose annotated centroid lies more than 10 mm from it."
            ),
            "![Found and annotated sizes](figures/bland-altman.png)",
            _part_table(found.parts),
        ]
    blocks += [
        (
            f"On {len(found.phantoms)} phantoms with known geometry, given their own mask; and end "
            "to end, where the networks, which never saw a phantom, must find the lesion first:"
        ),
        phantom_table(found.phantoms, found.end_to_end),
        _shift_table(found.phantoms),
    ]
    return "\n\n".join(blocks) + "\n"


def verdict(value: float, target: Target) -> str:
    """Whether the aim is reached, or at least the least."""
    if target.below:
        reached, at_least = value <= target.aim, target.least and value <= target.least
    else:
        reached, at_least = value >= target.aim, target.least and value >= target.least
    return "reached" if reached else "at the least" if at_least else "**missed**"


def _target_table(found: Spatial) -> str:
    by_source = {one.source: one for one in found.sources}
    rows = []
    for target in TARGETS:
        figures = by_source.get(target.source)
        value = target.read(figures) if figures else None
        if value is None:
            continue
        rows.append(
            [
                SOURCE_NAMES[target.source],
                target.name,
                target.show(target.aim),
                target.show(target.least) if target.least is not None else "–",
                f"{target.show(value.value)} ({target.show(value.low)}–{target.show(value.high)})",
                verdict(value.value, target),
            ]
        )
    if found.silent is not None:
        aim = Target("", SEGMENTATION, SILENT_AIM, SILENT_LEAST, False, lambda _: None, _per_cent)
        rows.append(
            [
                SOURCE_NAMES[SEGMENTATION],
                f"empty on {found.healthy} test slices without a tumor",
                _per_cent(SILENT_AIM),
                _per_cent(SILENT_LEAST),
                share(found.silent),
                verdict(found.silent.value, aim),
            ]
        )
    return table(["region", "figure", "target", "at the least", "measured", ""], rows)


def _source_table(sources: Sequence[SourceFigures]) -> str:
    header = ["", *(SOURCE_NAMES[one.source] for one in sources)]
    lines: list[tuple[str, Callable[[SourceFigures], str]]] = [
        ("slices without a region", lambda one: str(one.without_region)),
        ("peak inside", lambda one: share(one.peak_inside)),
        ("median Dice", lambda one: number(one.dice)),
        ("mean Dice", lambda one: f"{one.mean_dice:.3f}"),
        ("centroid, median", lambda one: _of(one.centroid_mm, "mm")),
        ("centroid, 95th percentile", lambda one: _percentile(one.centroid_mm, "mm")),
        ("area error, median", lambda one: _of(one.area_percent, "%")),
        ("area error, 95th percentile", lambda one: _percentile(one.area_percent, "%")),
        ("area error, bias ± 1.96 SD", lambda one: _bias(one.area_percent)),
        ("longest diameter error, median", lambda one: _of(one.longest_percent, "%")),
        ("longest diameter error, 95th percentile",
         lambda one: _percentile(one.longest_percent, "%")),
        ("longest diameter error, bias ± 1.96 SD", lambda one: _bias(one.longest_percent)),
        ("range holds", lambda one: share(one.range_holds)),
        ("side right", lambda one: f"{share(one.side_right)} of {one.lateralized}"),
    ]  # fmt: skip
    return table(header, [[name, *(read(one) for one in sources)] for name, read in lines])


def _part_table(parts: Sequence[PartFigures]) -> str:
    rows = [
        [
            one.by,
            readable(one.name),
            SOURCE_NAMES[one.source],
            str(one.slices),
            str(one.groups),
            _per_cent(one.peak_inside),
            f"{one.dice:.3f}",
            "–" if one.centroid_mm is None else f"{one.centroid_mm:.1f} mm",
            "–" if one.longest_percent is None else f"{one.longest_percent:.1f} %",
        ]
        for one in parts
    ]
    header = ["by", "", "region", "slices", "groups", "peak inside", "median Dice", "centroid",
              "longest diameter"]  # fmt: skip
    return table(header, rows)


def phantom_table(phantoms: Sequence[PhantomErrors], ends: Sequence[EndToEnd]) -> str:
    """Each parameter from the phantom's own mask, and end to end."""
    tumor = [one for one in ends if one.on_lesion]
    rows = [
        ["a region is measured", "given", _count([one.source is not None for one in ends])],
        ["it lies on the lesion", "given", _count([one.on_lesion for one in ends])],
        ["the segmentation's lies on the lesion", "given", _count([one.segmented for one in ends])],
        ["side right", _count([one.side for one in phantoms]),
         f"{_count([one.side for one in tumor])} of those on the lesion"],
        ["region right", _count([one.place for one in phantoms]), "–"],
        ["longest diameter, largest error", _largest([one.longest_percent for one in phantoms]),
         f"median {_middle([one.longest_percent for one in tumor])} of those on the lesion"],
        ["perpendicular, largest error",
         _largest([one.perpendicular_percent for one in phantoms]), "–"],
        ["Dice, median", "1",
         f"{np.median([one.dice for one in tumor]):.2f} of those on the lesion" if tumor else "–"],
    ]  # fmt: skip
    return table(["", "from its own mask", "end to end"], rows)


def _shift_table(phantoms: Sequence[PhantomErrors]) -> str:
    rows = []
    for shift in sorted({one.shift_mm for one in phantoms}):
        at = [one for one in phantoms if one.shift_mm == shift]
        known = [abs(one.shift_error_mm) for one in at if one.shift_error_mm is not None]
        rows.append(
            [
                f"{shift:g} mm",
                str(len(at)),
                str(len(known)),
                f"{np.mean(known):.2f} mm" if known else "–",
                f"{np.percentile(known, 95):.2f} mm" if known else "–",
                f"{max(known):.2f} mm" if known else "–",
                f"{sum(error <= 1 for error in known)} of {len(known)}",
            ]
        )
    header = [
        "midline shift",
        "phantoms",
        "assessed",
        "mean error",
        "95th percentile",
        "largest",
        "within 1 mm",
    ]
    return table(header, rows)


def _count(values: Sequence[bool]) -> str:
    return f"{sum(values)} of {len(values)}"


def _largest(values: Sequence[float | None]) -> str:
    known = [abs(value) for value in values if value is not None]
    return f"{max(known):.1f} %" if known else "–"


def _middle(values: Sequence[float | None]) -> str:
    known = [abs(value) for value in values if value is not None]
    return f"{np.median(known):.1f} %" if known else "–"


def _of(errors: ErrorFigures | None, unit: str) -> str:
    if errors is None:
        return "–"
    found = errors.median
    return f"{found.value:.1f} {unit} ({found.low:.1f}–{found.high:.1f})"


def _percentile(errors: ErrorFigures | None, unit: str) -> str:
    return "–" if errors is None else f"{errors.percentile_95:.1f} {unit}"


def _bias(errors: ErrorFigures | None) -> str:
    return "–" if errors is None else f"{errors.bias:+.1f} % ± {errors.spread:.1f}"
