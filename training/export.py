"""`python -m training export`: the best weights of a run as the first half of a bundle.

`python -m training calibrate` then fits the second half.
"""

import argparse
import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

import neuroscan
from neuroscan.network.bundle import (
    DESCRIPTION_FILE,
    SCHEMA_VERSION,
    BundleError,
    Network,
    file_sha256,
)
from neuroscan.network.model import ARCHITECTURE, CLASSES, build_model
from training.blend import load_chosen
from training.recipe import Guidance, Phase, Recipe
from training.refusal import write_training_manifest
from training.run import RUN, RunFacts, read_run
from training.splits import FOLDS

WEIGHTS_FILE = "weights.safetensors"
LARGEST_BYTES = 50_000_000
LICENSE = (
    "Apache-2.0 (weights); data: Cheng et al., figshare 1512427 (CC BY 4.0), BRISC 2025 (CC BY "
    "4.0), Kaggle Brain Tumor MRI Dataset, Nickparvar (CC0)"
)
_STATISTICS = ("running_mean", "running_var")

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--run", dest="folder", type=Path, required=True, help="folder of the run")
    parser.add_argument("--name", required=True, help="the model's name")
    parser.add_argument("--version", default="1.0.0", help="the model's version (default 1.0.0)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")


def main(arguments: argparse.Namespace) -> None:
    """Write weights, training manifest and `bundle.json`; raises `BundleError`, `RecipeError`."""
    recipe, facts = read_run(arguments.folder / RUN)
    weights, row = load_chosen(arguments.folder)
    network = write_network(
        arguments.out,
        weights,
        recipe,
        name=arguments.name,
        version=arguments.version,
        training=training_facts(recipe, facts, row),
        unique_ids=facts.pictures,
    )
    log.info(
        "wrote %s, %.1f MB, %s; now: python -m training calibrate --bundle %s --data DIR",
        arguments.out / WEIGHTS_FILE,
        (arguments.out / WEIGHTS_FILE).stat().st_size / 1e6,
        network.sha256[:12],
        arguments.out,
    )


def write_network(
    folder: Path,
    state: Mapping[str, Tensor],
    recipe: Recipe,
    *,
    name: str,
    version: str,
    training: Mapping[str, object],
    unique_ids: tuple[str, ...],
) -> Network:
    """Write the first half of a bundle into a folder that holds none; raises `BundleError`."""
    if (folder / DESCRIPTION_FILE).exists():
        raise BundleError(f"{folder} holds a bundle already")
    build_model().load_state_dict(dict(state))
    content = save(half_precision(state))
    if len(content) > LARGEST_BYTES:
        raise BundleError(f"the weights take {len(content)} bytes; {LARGEST_BYTES} are allowed")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS_FILE).write_bytes(content)
    network = Network(
        schema_version=SCHEMA_VERSION,
        name=name,
        version=version,
        notice=neuroscan.NOTICE,
        license=LICENSE,
        architecture=ARCHITECTURE,
        classes=CLASSES,
        preprocessing=recipe.preprocessing,
        weights=WEIGHTS_FILE,
        sha256=file_sha256(folder / WEIGHTS_FILE),
        training={**training, **write_training_manifest(folder, unique_ids)},
    )
    text = json.dumps(dataclasses.asdict(network), indent=2, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")
    return network


def half_precision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights as fp16, contiguous; normalization statistics stay fp32, counters as they are.

    Raises `BundleError` for a weight that fp16 can't hold.
    """
    halved = {}
    for name, tensor in state.items():
        keep = name.endswith(_STATISTICS) or not tensor.is_floating_point()
        halved[name] = (tensor if keep else tensor.half()).contiguous()
        if not bool(torch.isfinite(halved[name]).all()):
            raise BundleError(f"{name} holds a value that fp16 can't")
    return halved


def training_facts(
    recipe: Recipe, facts: RunFacts, row: Mapping[str, float | int | str]
) -> dict[str, object]:
    """How the network was trained, as its bundle and card say it; `row` is the chosen epoch's."""
    taught = list(dict.fromkeys(_taught(recipe.guidance_in(phase)) for phase in recipe.phases))
    return {
        "split": f"{recipe.split}, {_part(facts)} ({facts.slices:,} slices)",
        "start": facts.start,
        "recipe": recipe.name,
        "schedule": _schedule(recipe, facts),
        "masks": "; then ".join(taught),
        "hardware": facts.hardware,
        "minutes": facts.minutes,
        "chosen": _chosen(recipe, row),
        "validation": {
            name: round(float(value), 4) for name, value in row.items() if name.startswith("val_")
        },
    }


def _part(facts: RunFacts) -> str:
    return f"train and val without fold {facts.fold} of {FOLDS}" if facts.fold else "train"


def _chosen(recipe: Recipe, row: Mapping[str, float | int | str]) -> str:
    best = f"epoch {row['epoch']}, by {recipe.select} on the validation part"
    if "blended_with" not in row:
        return best
    return (
        f"the mean of the weights of {best}, and of epoch {row['blended_with']}, the last, since "
        "its log loss there is lower than the first's"
    )


def _taught(guidance: Guidance) -> str:
    """What the masks taught, in words."""
    taught = [
        f"{kind} at {', '.join(getattr(guidance, f'{kind}_layers'))}"
        for kind in ("segmentation", "evidence", "activation")
        if getattr(guidance, kind) > 0
    ]
    return f"used: {'; '.join(taught)}" if taught else "not used"


def _schedule(recipe: Recipe, facts: RunFacts) -> str:
    phases = "; ".join(
        f"{phase.epochs} epochs of {_trained(phase, facts)} at {phase.learning_rate:g}"
        for phase in recipe.phases
    )
    drawn = f"; {recipe.epoch_pictures} slices an epoch" if recipe.epoch_pictures else ""
    # A run on a clock anneals and ends with it, whatever epochs are left.
    clock = f"; ended by the clock after {facts.minutes:g} minutes" if facts.minutes else ""
    return phases + drawn + clock


def _trained(phase: Phase, facts: RunFacts) -> str:
    # From random weights a head on a frozen backbone would learn nothing.
    return "all stages (from nothing)" if facts.all_stages else ", ".join(phase.trains)
