"""The mean of a run's best and last weights, kept where validation prefers it.

Weights that one run passed through lie in one valley of the loss; their mean is often better on
slices unlike those it learned from. Source: Izmailov et al., "Averaging weights leads to wider
optima", 2018; of models instead of epochs, Wortsman et al., "Model soups", 2022.
"""

import copy
import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from training.recipe import RecipeError
from training.trainer import BEST, Trainer

BLEND = "blend.pt"

log = logging.getLogger(__name__)


def blend(trainer: Trainer, out: Path) -> None:
    """Write the mean of the best epoch's and the last epoch's weights as `BLEND`.

    Nothing is left there where its log loss on the validation part is not below the best epoch's.
    `trainer` has finished the run whose folder is `out`.
    """
    (out / BLEND).unlink(missing_ok=True)
    saved = torch.load(out / BEST, map_location=trainer.device, weights_only=True)
    last = trainer.progress.epoch
    if int(saved["row"]["epoch"]) == last:
        return
    mean = mean_of(saved["model"], trainer.best_model.state_dict())
    model = copy.deepcopy(trainer.best_model)
    model.load_state_dict(mean)
    figures = trainer.measure(model).figures()
    before = float(saved["row"]["val_log_loss"])
    log.info("best and last epoch's mean: %s", figures)
    if figures["val_log_loss"] < before:
        row = {"epoch": saved["row"]["epoch"], "blended_with": last, **figures}
        torch.save({"model": mean, "row": row}, out / BLEND)


def load_chosen(folder: Path) -> tuple[dict[str, Tensor], dict[str, float | int | str]]:
    """The weights that a run is worth, and their row of figures; raises `RecipeError`."""
    blended = folder / BLEND
    best = blended if blended.is_file() else folder / BEST
    if not best.is_file():
        raise RecipeError(f"{best} is missing: the run has not ended an epoch yet")
    saved = torch.load(best, map_location="cpu", weights_only=True)
    return saved["model"], saved["row"]


def mean_of(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The mean of two networks' weights and statistics; counters are the first's."""
    return {
        name: (value + second[name]) / 2 if value.is_floating_point() else value
        for name, value in first.items()
    }
