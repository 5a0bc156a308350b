"""Bland-Altman figures: the difference of found and annotated over their mean."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.tables import Paired
from training.figures import ACCENT, DPI, INK, MUTED, save

NAMES = ("longest diameter, mm", "area, mm²")


def draw_bland_altman(path: Path, found: Mapping[str, tuple[Paired, Paired]]) -> None:
    """A row a source, diameter and area beside each other; bias and 95 % limits as lines."""
    figure = Figure(figsize=(7.2, 2.7 * len(found)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(found), 2, squeeze=False)
    for row, (source, pairs) in enumerate(found.items()):
        for column, (name, pair) in enumerate(zip(NAMES, pairs, strict=True)):
            _draw(grid[row][column], pair, f"{source}: {name}")
    save(figure, path)


def limits(pair: Paired) -> tuple[float, float, float]:
    """Lower limit, bias, upper limit: the mean difference and 1.96 standard deviations of it."""
    differences = np.array(pair.found) - np.array(pair.annotated)
    bias, spread = float(differences.mean()), 1.96 * float(differences.std())
    return bias - spread, bias, bias + spread


def _draw(axes: Axes, pair: Paired, name: str) -> None:
    axes.set_title(name, fontsize=9, color=INK)
    axes.set_xlabel("mean of found and annotated", fontsize=8)
    axes.set_ylabel("found less annotated", fontsize=8)
    axes.tick_params(labelsize=8)
    if not pair.found:
        return
    annotated, there = np.array(pair.annotated), np.array(pair.found)
    axes.plot(
        (annotated + there) / 2, there - annotated, ".", color=ACCENT, alpha=0.4, markersize=4
    )
    for value, style in zip(limits(pair), (":", "-", ":"), strict=True):
        axes.axhline(value, color=INK, linestyle=style, linewidth=1)
        axes.annotate(
            f"{value:.3g}",
            (1, value),
            xycoords=("axes fraction", "data"),
            fontsize=7,
            color=MUTED,
            ha="right",
            va="bottom",
        )
