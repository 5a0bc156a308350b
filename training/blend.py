"""The mean of weights that one run passed through, kept where validation prefers it.

They lie in one valley of the loss; their mean is often better on slices unlike those it learned
from. Source: Izmailov et al., "Averaging weights leads to wider optima", 2018; of a network and
what it was tuned from, Wortsman et al., "Robust fine-tuning of zero-shot models", 2022.
"""

import copy
import logging
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor

from training.trainer import BEST, Trainer

BLEND = "blend.pt"

log = logging.getLogger(__name__)


def blend(trainer: Trainer, out: Path, start: Mapping[str, Tensor] | None = None) -> None:
    """Write the mean of the best epoch's weights and others as `BLEND`, where one is better.

    The others are the last epoch's, those of `start` (a bundle that the run began with), and both.
    The mean with the lowest log loss on the validation part is kept; nothing is where none is
    below the best epoch's. `trainer` has finished the run whose folder is `out`.
    """
    (out / BLEND).unlink(missing_ok=True)
    saved = torch.load(out / BEST, map_location=trainer.device, weights_only=True)
    others: dict[str, Mapping[str, Tensor]] = {}
    last = trainer.progress.epoch
    if int(saved["row"]["epoch"]) != last:
        others[f"epoch {last}, the last"] = trainer.best_model.state_dict()
    if start is not None:
        others["the start"] = start
    lowest = float(saved["row"]["val_log_loss"])
    model = copy.deepcopy(trainer.best_model)
    for names in (names for size in (1, 2) for names in combinations(others, size)):
        mean = mean_of([saved["model"], *(others[name] for name in names)])
        model.load_state_dict(mean)
        figures = trainer.measure(model).figures()
        told = ", and of ".join(names)
        log.info("mean of the best epoch and of %s: %s", told, figures)
        if figures["val_log_loss"] < lowest:
            lowest = figures["val_log_loss"]
            row = {"epoch": saved["row"]["epoch"], "blended_with": told, **figures}
            torch.save({"model": mean, "row": row}, out / BLEND)


def mean_of(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of networks' weights and statistics; counters are the first's."""
    first, *others = states
    return {
        name: sum((other[name] for other in others), value) / len(states)
        if value.is_floating_point()
        else value
        for name, value in first.items()
    }
