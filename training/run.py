"""What a run's folder says of itself: its recipe and facts, and the figures of every epoch."""

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from neuroscan.network.fields import FieldError, read_fields
from training.recipe import Recipe, RecipeError

HISTORY, CURVES, RUN = "history.csv", "curves.png", "run.json"


@dataclass(frozen=True)
class RunFacts:
    """What a run started from and ran on.

    `pictures` are the unique ids of its training slices and of those that its start was trained
    on. `fold` is the one of the training and validation parts' folds that it is validated on;
    `all_stages` says that every stage trains in every phase, as from random weights.
    """

    start: str
    slices: int
    minutes: float | None
    hardware: str
    torch: str
    pictures: tuple[str, ...]
    fold: int | None = None
    all_stages: bool = False


@dataclass(frozen=True)
class _Run:
    recipe: Recipe
    facts: RunFacts


def write_run(path: Path, recipe: Recipe, facts: RunFacts) -> None:
    """Write both as JSON."""
    text = json.dumps(asdict(_Run(recipe, facts)), indent=1) + "\n"
    path.write_text(text, encoding="utf-8")


def read_run(path: Path) -> tuple[Recipe, RunFacts]:
    """Both from JSON; raises `RecipeError`."""
    try:
        run = read_fields(_Run, json.loads(path.read_text(encoding="utf-8")), "run")
    except OSError as error:
        raise RecipeError(f"{path} can't be read: {error.strerror}") from error
    except (FieldError, ValueError) as error:
        raise RecipeError(f"{path}: {error}") from error
    return run.recipe, run.facts


def require_same(path: Path, recipe: Recipe, facts: RunFacts) -> None:
    """Raises `RecipeError` when the run described in a file is not the one that would go on.

    Hardware and torch may be others: a run can move.
    """
    old_recipe, old = read_run(path)
    refuse_another(
        path.parent,
        {
            "recipe": (old_recipe, recipe),
            "start": (old.start, facts.start),
            "fold": (old.fold, facts.fold),
            "minutes": (old.minutes, facts.minutes),
            "training slices": (old.pictures, facts.pictures),
        },
    )


def refuse_another(folder: Path, facts: Mapping[str, tuple[object, object]]) -> None:
    """Raises `RecipeError` when a fact of the run in a folder is not that of the one to go on."""
    if other := [name for name, (before, now) in facts.items() if before != now]:
        raise RecipeError(f"{folder} holds a run with another {' and another '.join(other)}")


def append_row(path: Path, row: Mapping[str, float | int | str]) -> None:
    """Add an epoch to the CSV; what a resumed run repeats replaces the old rows."""
    rows = [old for old in read_history(path) if int(old["epoch"]) < int(row["epoch"])]
    names = list(dict.fromkeys([name for old in rows for name in old] + list(row)))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows([*rows, {name: short(value) for name, value in row.items()}])


def read_history(path: Path) -> list[dict[str, str]]:
    """The rows of a run's CSV; none where there is no file yet."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def short(value: float | int | str) -> str:
    """A figure as the CSV and the log show it."""
    return f"{value:.5g}" if isinstance(value, float) else str(value)
