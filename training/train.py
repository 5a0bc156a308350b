"""`python -m training train`: run a recipe; checkpoints, a CSV of every epoch, curves."""

import argparse
import logging
import sys
from pathlib import Path

import torch

from neuroscan.network.device import choose_device
from training.blend import BLEND, blend
from training.cache import Slices, load_slices
from training.curves import draw_curves
from training.folders import open_source
from training.recipe import Recipe, RecipeError, read_recipe
from training.run import (
    CURVES,
    HISTORY,
    RUN,
    RunFacts,
    append_row,
    read_history,
    require_same,
    short,
    write_run,
)
from training.splits import FOLDS, fold_of
from training.starts import start_model
from training.trainer import BEST, CHECKPOINT, Trainer, epochs

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--config", type=Path, required=True, help="a recipe (YAML)")
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--from", dest="bundle", type=Path, help="start from a bundle")
    start.add_argument("--weights", type=Path, help="start from a file of torchvision weights")
    start.add_argument("--imagenet", action="store_true", help="start from torchvision's weights")
    start.add_argument("--from-nothing", action="store_true", help="start from random weights")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, if any")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=2, help="torch's threads (default 2)")
    parser.add_argument(
        "--fold",
        type=int,
        choices=range(1, FOLDS + 1),
        help=f"validate on this of {FOLDS} folds, by group, of training and validation part",
    )
    parser.add_argument(
        "--minutes", type=float, help="end the schedule after this many minutes of training"
    )


def main(arguments: argparse.Namespace) -> None:
    """Train; raises `RecipeError`, `DataError` and `BundleError`."""
    torch.set_num_threads(arguments.threads)
    recipe = read_recipe(arguments.config)
    device = choose_device(arguments.device)
    start = start_model(
        recipe,
        bundle=arguments.bundle,
        weights=arguments.weights,
        imagenet=arguments.imagenet,
    )
    out: Path = arguments.out
    begun = (out / CHECKPOINT).is_file()
    if begun and not arguments.resume:
        raise RecipeError(f"{out} holds a run already: give --resume or another folder")
    out.mkdir(parents=True, exist_ok=True)
    train, validation = load_parts(recipe, arguments.data, arguments.fold)
    log.info("%d training and %d validation slices, %s", len(train), len(validation), start.told)
    trainer = Trainer(
        recipe,
        start.model.to(device),
        train,
        validation,
        all_stages=start.from_nothing,
        minutes=arguments.minutes,
        on_step=_progress_line,
    )
    facts = RunFacts(
        start=start.told,
        slices=len(train),
        minutes=arguments.minutes,
        hardware=torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
        torch=torch.__version__,
        pictures=tuple(sorted(start.pictures | {picture.unique_id for picture in train.pictures})),
        fold=arguments.fold,
        all_stages=start.from_nothing,
    )
    if begun:
        require_same(out / RUN, recipe, facts)
        trainer.restore(out / CHECKPOINT)
    write_run(out / RUN, recipe, facts)
    run(trainer, out)


def run(trainer: Trainer, out: Path) -> None:
    """All epochs that are left; history, curves, checkpoint and best weights after each.

    At the end the best and the last weights' mean, where the recipe asks for it.
    """
    for row in epochs(trainer):
        # The mean at the end of a shorter run is not this one's.
        (out / BLEND).unlink(missing_ok=True)
        score = float(row["val_both" if trainer.recipe.select == "both" else "val_accuracy"])
        better = score > trainer.progress.best
        if better:
            trainer.progress.best = score
            torch.save({"model": trainer.best_model.state_dict(), "row": row}, out / BEST)
        append_row(out / HISTORY, row)
        trainer.save(out / CHECKPOINT)
        draw_curves(read_history(out / HISTORY), out / CURVES)
        log.info("%s", "  ".join(f"{name} {short(value)}" for name, value in row.items()))
    if trainer.recipe.blend:
        blend(trainer, out)


def load_parts(recipe: Recipe, data: Path, fold: int | None = None) -> tuple[Slices, Slices]:
    """The training and the validation part of the recipe's split, or of one fold of both.

    Raises `DataError`.
    """
    with open_source(data) as source:
        train, validation = (source.part(recipe.split, part) for part in ("train", "val"))
        if fold is not None:
            both = train + validation
            train = [picture for picture in both if fold_of(picture.group) != fold]
            validation = [picture for picture in both if fold_of(picture.group) == fold]
        return (
            load_slices(source, train, recipe.preprocessing),
            load_slices(source, validation, recipe.preprocessing),
        )


def _progress_line(epoch: int, step: int, steps: int, loss: float) -> None:
    if sys.stderr.isatty() or step == steps or step % 10 == 0:
        end = "\r" if sys.stderr.isatty() and step < steps else "\n"
        filled = 24 * step // steps
        bar = "#" * filled + "." * (24 - filled)
        sys.stderr.write(f"epoch {epoch + 1:3d} [{bar}] {step}/{steps} loss {loss:.4f}{end}")
        sys.stderr.flush()
