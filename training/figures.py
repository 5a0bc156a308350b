"""The card's figures: small PNGs in one quiet style with one accent color."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from training.calibration import reliability
from training.evaluation import ChangeFigures, Robustness
from training.metrics import Floats, Ints, auc, roc_curve

INK = "#22272e"
MUTED = "#8a939e"
FAINT = "#d9dee4"
ACCENT = "#0b6e6e"
# Classes are told apart by lightness and dash, not by hue.
LINES = ((ACCENT, "-"), (ACCENT, "--"), (MUTED, "-"), (INK, ":"))
DPI = 110


def draw_confusion(path: Path, counts: Sequence[Sequence[int]], classes: Sequence[str]) -> None:
    """The confusion matrix: rows the truth, shaded by the row's share, with its counts."""
    cells = np.asarray(counts, dtype=np.float64)
    shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    figure, axes = canvas(4.2, 3.8)
    for row, column in np.ndindex(*cells.shape):
        share = shares[row, column]
        box = (column - 0.5, row - 0.5)
        axes.add_patch(_square(box, alpha=float(share)))
        color = "white" if share > 0.6 else INK
        axes.text(column, row, f"{int(cells[row, column])}", ha="center", va="center", color=color)
    axes.set_xlim(-0.5, len(classes) - 0.5)
    axes.set_ylim(len(classes) - 0.5, -0.5)
    axes.set_aspect("equal")
    names = [readable(name) for name in classes]
    axes.set_xticks(range(len(classes)), names)
    axes.set_yticks(range(len(classes)), names)
    axes.tick_params(length=0)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    save(figure, path)


def draw_roc(path: Path, probabilities: Floats, labels: Ints, classes: Sequence[str]) -> None:
    """One curve a class, each against the rest, with its area."""
    figure, axes = canvas(4.2, 3.8)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    for index, name in enumerate(classes):
        truth = labels == index
        if not truth.any() or truth.all():
            continue
        color, dash = LINES[index % len(LINES)]
        area = float(auc(probabilities[:, index], truth))
        axes.plot(
            *roc_curve(probabilities[:, index], truth),
            color=color,
            linestyle=dash,
            linewidth=1.4,
            label=f"{readable(name)} {area:.4f}",
        )
    axes.set_xlabel("1 – specificity")
    axes.set_ylabel("sensitivity")
    axes.set_aspect("equal")
    axes.legend(title="area", loc="lower right", frameon=False, alignment="left")
    save(figure, path)


def draw_reliability(path: Path, unscaled: Floats, scaled: Floats, labels: Ints) -> None:
    """Accuracy against confidence in equal-mass bins, before and after temperature scaling."""
    figure, axes = canvas(4.2, 3.8)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1)
    for probabilities, color, name in (
        (unscaled, MUTED, "as trained"),
        (scaled, ACCENT, "after temperature scaling"),
    ):
        right = probabilities.argmax(axis=1) == labels
        bins = reliability(probabilities.max(axis=1), right)
        axes.plot(
            bins.confidence, bins.accuracy, color=color, marker="o", markersize=3, linewidth=1.2,
            label=name,
        )  # fmt: skip
    axes.set_xlim(0.25, 1.02)
    axes.set_ylim(0.25, 1.02)
    axes.set_xlabel("mean confidence of a bin")
    axes.set_ylabel("share of right answers")
    axes.legend(loc="upper left", frameon=False)
    save(figure, path)


def draw_robustness(path: Path, found: Robustness) -> None:
    """Accuracy after every change, with intervals, beside the accuracy without one."""
    names = [_change_name(change) for change in found.changes]
    figure, axes = canvas(6.2, 0.24 * len(names) + 0.9)
    axes.axvspan(found.accuracy.low, found.accuracy.high, color=FAINT, alpha=0.5, linewidth=0)
    axes.axvline(found.accuracy.value, color=MUTED, linewidth=1)
    for place, change in enumerate(found.changes):
        accuracy = change.accuracy
        axes.plot([accuracy.low, accuracy.high], [place, place], color=ACCENT, linewidth=1)
        axes.plot(accuracy.value, place, "o", color=ACCENT, markersize=3.5)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("accuracy (gray: the same slices as they are)")
    save(figure, path)


def draw_sharpness(
    path: Path, names: Sequence[str], classes: Sequence[str], values: Floats, paper: Floats
) -> None:
    """Mean sharpness by class of every method, (methods, classes), beside the paper's."""
    figure, axes = canvas(6.2, 3.2)
    width = 0.8 / len(names)
    for index, name in enumerate(names):
        places = np.arange(len(classes)) + (index - (len(names) - 1) / 2) * width
        color = (ACCENT, MUTED, FAINT)[index % 3]
        axes.bar(places, values[index], width=width * 0.9, color=color, label=name)
        label = "the paper's" if index == 0 else None
        axes.plot(places, paper[index], "_", color=INK, markersize=11, label=label)
    axes.set_xticks(range(len(classes)), [readable(name) for name in classes])
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("sharpness")
    axes.set_ylim(0, 1.15)
    axes.legend(frameon=False, ncols=4, loc="upper center")
    save(figure, path)


def readable(name: str) -> str:
    """A class's name as people read it."""
    return name.replace("_", " ")


def _change_name(change: ChangeFigures) -> str:
    return f"{change.kind}, {change.strength}"


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=8)
    axes.xaxis.label.set_fontsize(8)
    axes.yaxis.label.set_fontsize(8)
    return figure, axes


def _square(corner: tuple[float, float], alpha: float) -> Rectangle:
    return Rectangle(corner, 1, 1, facecolor=ACCENT, alpha=alpha, linewidth=0)


def save(figure: Figure, path: Path) -> None:
    for axes in figure.axes:
        if (legend := axes.get_legend()) is not None:
            for text in (*legend.get_texts(), legend.get_title()):
                text.set_fontsize(8)
        for text in axes.texts:
            text.set_fontsize(9)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without the program's name and version the same figures give the same file.
    figure.savefig(path, metadata={"Software": None})
