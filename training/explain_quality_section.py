"""The card's section on which map to believe, and its figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neuroscan.network.bundle import Explanation
from training.every_map import GAUSSIAN, GRADIENT
from training.figures import ACCENT, FAINT, INK, MUTED, canvas, save
from training.map_scores import RowFigures
from training.markdown import METHOD_NAMES, number, share, table

FIGURE = "explain-quality.png"


@dataclass(frozen=True)
class FaithfulFigures:
    """A row's means over the slices that were perturbed; `randomized` is a rank correlation."""

    method: str
    layer: str
    deletion: float
    insertion: float
    road: float
    randomized: float | None


@dataclass(frozen=True)
class Quality:
    """All that `explain-quality` measured, of which weights, with which choice."""

    notice: str
    bundle: str
    version: str
    sha256: str
    seed: int
    chosen: Explanation
    validation_slices: int
    validation: tuple[RowFigures, ...]
    test_slices: int
    test: tuple[RowFigures, ...]
    perturbed_slices: int
    faithful: tuple[FaithfulFigures, ...]


def quality_section(found: Quality) -> str:
    """The section, in Markdown."""
    chosen = found.chosen
    blocks = [
        "### Which map points at tumors",
        (
            "Every method at every layer on slices with an annotated tumor, explaining the "
            "network's own answer; a map without positive evidence counts as a miss. Method, layer "
            f"and threshold were chosen on {found.validation_slices} validation slices; the "
            f"{found.test_slices} test slices were run once. In brackets: 95 % intervals by "
            "patient group."
        ),
        (
            f"**Chosen: {row_name(chosen.method, chosen.layer)}** at {chosen.region_threshold:g} "
            f"of the map's maximum. {chosen.reason}"
        ),
        _table(found),
        f"![Peak inside the tumor](figures/{FIGURE})",
        (
            "*Upper bound*: the median Dice coefficient if every slice had its own best threshold, "
            "which nobody knows beforehand. At `layer4[-1]` HiRes-CAM is Grad-CAM. A sum divides "
            "each layer's map by its maximum and adds what speaks for the class. Baselines: a bump "
            "in the picture's middle, and the smoothed gradient at the pixels."
        ),
        *_sharper(found.test, chosen),
        f"Is the map true to the network? On {found.perturbed_slices} test slices, evenly spread:",
        _faithful_table(found.faithful),
        (
            "Deletion (lower is better) and insertion (higher) are mean probabilities of the class "
            "as its places are blurred, or shown, most relevant first; ROAD (higher) compares the "
            "loss of the least and the most relevant tenth. *Shuffled weights*: rank correlation "
            "with the map of the same network with shuffled weights. Near 1 the map would draw the "
            "picture, whatever the network knows; far from 0 on either side (Grad-CAM++, the "
            "gradient) part of it does."
        ),
    ]
    return "\n\n".join(blocks) + "\n"


def row_name(method: str, layer: str) -> str:
    """A row's name for a person."""
    if method in (GAUSSIAN, GRADIENT):
        return f"*{method}*"
    return f"{METHOD_NAMES[method]} at `{layer}`"


def draw_pointing(path: Path, found: Quality) -> None:
    """Peak inside the tumor on the test slices, a dot and an interval a row."""
    rows = sorted(found.test, key=lambda row: row.pointing.value)
    figure, axes = canvas(6.4, 0.5 + 0.28 * len(rows))
    for place, row in enumerate(rows):
        chosen = (row.method, row.layer) == (found.chosen.method, found.chosen.layer)
        color = ACCENT if chosen else MUTED if row.method in (GAUSSIAN, GRADIENT) else INK
        axes.plot([row.pointing.low, row.pointing.high], [place, place], color=color, linewidth=1.2)
        axes.plot([row.pointing.value], [place], "o", color=color, markersize=5)
    names = [row_name(row.method, row.layer).replace("`", "").replace("*", "") for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_xlim(0, 1)
    axes.grid(axis="x", color=FAINT, linewidth=0.8)
    axes.set_xlabel("share of slices with the map's peak inside the tumor")
    save(figure, path)


def _table(found: Quality) -> str:
    validation = {(row.method, row.layer): row for row in found.validation}
    header = ["map", "validation: peak inside", "test: peak inside", "energy inside",
              "share of maximum", "mean Dice", "median Dice", "upper bound", "sharpness",
              "no evidence"]  # fmt: skip
    rows = [
        [
            row_name(row.method, row.layer),
            f"{validation[row.method, row.layer].pointing.value:.1%}",
            share(row.pointing),
            share(row.energy),
            f"{row.fraction:g}",
            number(row.dice, 2),
            number(row.median_dice, 2),
            f"{row.bound:.2f}",
            "–" if row.sharpness is None else f"{row.sharpness:.2f}",
            str(row.without_evidence),
        ]
        for row in sorted(found.test, key=lambda row: -row.pointing.value)
    ]
    return table(header, rows)


def _sharper(rows: Sequence[RowFigures], chosen: Explanation) -> list[str]:
    """A sentence for maps that are sharper than the chosen one and clearly point worse."""
    own = next(row for row in rows if (row.method, row.layer) == (chosen.method, chosen.layer))
    sharper = [
        (row.sharpness, row)
        for row in rows
        if row.method in METHOD_NAMES
        and row.sharpness is not None
        and row.sharpness > (own.sharpness or 0.0)
        and row.pointing.value < own.pointing.low
    ]
    if not sharper:
        return []
    named = [
        f"{row_name(row.method, row.layer)} (sharpness {sharp:.2f}, peak inside "
        f"{row.pointing.value:.1%})"
        for sharp, row in sorted(sharper, key=lambda pair: -pair[0])[:3]
    ]
    text = "Sharper than the chosen map, and more often beside the tumor, hence worse"
    return [f"{text}: {', '.join(named)}."]


def _faithful_table(rows: Sequence[FaithfulFigures]) -> str:
    return table(
        ["map", "deletion", "insertion", "ROAD", "shuffled weights"],
        [
            [
                row_name(row.method, row.layer),
                f"{row.deletion:.3f}",
                f"{row.insertion:.3f}",
                f"{row.road:.3f}",
                "–" if row.randomized is None else f"{row.randomized:.2f}",
            ]
            for row in rows
        ],
    )
