"""`python -m training folds`: mean and spread of runs that were each validated on another fold."""

import argparse
import dataclasses
import logging
import statistics
from collections.abc import Sequence
from pathlib import Path

from training.blend import load_chosen
from training.markdown import table
from training.recipe import RecipeError
from training.run import RUN, read_run
from training.splits import FOLDS

_SHOWN = "val_"

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Fold:
    """What a run showed on the fold, 1 to `FOLDS`, that it was not trained on."""

    fold: int
    figures: dict[str, float]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "runs", type=Path, nargs="+", help="folders of `train --fold` runs, one a fold"
    )


def main(arguments: argparse.Namespace) -> None:
    """Print the table; raises `RecipeError`."""
    log.info("%s", fold_table(read_folds(arguments.runs)))


def read_folds(runs: Sequence[Path]) -> list[Fold]:
    """The chosen epoch's figures of each run, by fold.

    Raises `RecipeError` where the runs are not of one recipe and start, or a fold is missing or
    there twice.
    """
    found, kinds = [], set()
    for folder in runs:
        recipe, facts = read_run(folder / RUN)
        if facts.fold is None:
            raise RecipeError(f"{folder} is no run of one fold: train it with --fold")
        _, row = load_chosen(folder)
        figures = {name: float(value) for name, value in row.items() if name.startswith(_SHOWN)}
        found.append(Fold(facts.fold, figures))
        kinds.add((recipe, facts.start, facts.minutes))
    if len(kinds) > 1:
        raise RecipeError("the runs are not of one recipe and one start")
    found.sort(key=lambda one: one.fold)
    if [one.fold for one in found] != list(range(1, FOLDS + 1)):
        raise RecipeError(f"each of the {FOLDS} folds is wanted once")
    return found


def fold_table(folds: Sequence[Fold]) -> str:
    """A Markdown table: each figure by fold, its mean and its standard deviation."""
    rows = []
    # A plane may be in some folds only.
    for name in [name for name in folds[0].figures if all(name in one.figures for one in folds)]:
        values = [one.figures[name] for one in folds]
        spread = (statistics.mean(values), statistics.stdev(values))
        title = name.removeprefix(_SHOWN).replace("_", " ")
        rows.append([title, *(f"{value:.4f}" for value in (*values, *spread))])
    header = ["", *(f"fold {one.fold}" for one in folds), "mean", "standard deviation"]
    return table(header, rows)
