"""A run's curves as a figure: accuracy, losses, pointing game."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

mpl.use("Agg")

_PANELS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("Accuracy", (("train_accuracy", "training (augmented)"), ("val_accuracy", "validation"))),
    (
        "Loss",
        (
            ("train_answer", "training, answer"),
            ("train_segmentation", "training, segmentation"),
            ("train_evidence", "training, evidence"),
            ("train_activation", "training, activation"),
            ("val_log_loss", "validation, answer"),
        ),
    ),
    (
        "Peak of HiRes-CAM inside the tumor",
        (
            ("val_pointing_layer2", "layer2[-1]"),
            ("val_pointing_layer3", "layer3[-1]"),
            ("val_pointing_layer4", "layer4[-1]"),
        ),
    ),
)


def draw_curves(history: Sequence[Mapping[str, str]], path: Path) -> None:
    """Write a PNG of three panels over epochs; dashed lines mark where a phase begins."""
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    starts = [
        int(row["epoch"]) - 0.5
        for before, row in pairwise(history)
        if before["phase"] != row["phase"]
    ]
    for place, (title, lines) in enumerate(_PANELS):
        axes = figure.add_subplot(1, 3, place + 1)
        for name, label in lines:
            points = [(int(row["epoch"]), float(row[name])) for row in history if row.get(name)]
            if points:
                axes.plot(*zip(*points, strict=True), marker=".", label=label)
        for start in starts:
            axes.axvline(start, color="0.6", linestyle="--", linewidth=0.8)
        axes.set(title=title, xlabel="epoch")
        if title != "Loss":
            axes.set_ylim(0, 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=110)
