"""`python -m training segment`: train the segmentation decoder on a bundle's frozen backbone.

Learns from the slices of the `patient` training part whose tumor is outlined and from those
without a tumor; an epoch's figures are of the validation part. Checkpoints, a CSV of every epoch.
"""

import argparse
import copy
import json
import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, binary_cross_entropy_with_logits
from torchvision.models import ResNet

from neuroscan.network.bundle import DESCRIPTION_FILE, Bundle, BundleError, read_network
from neuroscan.network.device import choose_device
from neuroscan.network.fused import fused
from neuroscan.network.layers import outputs_of
from neuroscan.network.preprocess import Preprocessing
from neuroscan.network.segmenter import Segmenter
from training.augment import augment
from training.cache import Slices, load_slices, normalized
from training.folders import open_source
from training.optimize import average_into, cycle
from training.recipe import RecipeError
from training.run import HISTORY, append_row, refuse_another, short
from training.segment_recipe import SegmentRecipe, read_segment_recipe
from training.trainer import BEST, CHECKPOINT, Progress

SPLIT = "patient"
SEGMENT_RUN = "segment.json"

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--config", type=Path, required=True, help="a decoder's recipe (YAML)")
    parser.add_argument("--bundle", type=Path, required=True, help="whose backbone it stands on")
    parser.add_argument("--data", type=Path, required=True, help="folder with manifest.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--start", type=Path, help="another run, or a bundle, whose decoder to start from"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, if any")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=2, help="torch's threads (default 2)")
    parser.add_argument("--minutes", type=float, help="end the schedule after so much training")


def main(arguments: argparse.Namespace) -> None:
    """Train; raises `RecipeError`, `DataError` and `BundleError`."""
    torch.set_num_threads(arguments.threads)
    recipe = read_segment_recipe(arguments.config)
    device = choose_device(arguments.device)
    out: Path = arguments.out
    begun = (out / CHECKPOINT).is_file()
    if begun and not arguments.resume:
        raise RecipeError(f"{out} holds a run already: give --resume or another folder")
    network = read_network(arguments.bundle)
    if not str(network.training.get("split", "")).startswith(SPLIT):
        raise BundleError(f"{arguments.bundle} was not trained on the split {SPLIT}")
    backbone = network.load(arguments.bundle, device)
    out.mkdir(parents=True, exist_ok=True)
    size = recipe.shape.input_size
    spec = replace(network.preprocessing, input_size=size)
    with open_source(arguments.data) as source:
        parts = [
            load_slices(
                source,
                [p for p in source.part(SPLIT, part) if p.mask is not None or _healthy(p.label)],
                spec,
            ).to(device)
            for part in ("train", "val")
        ]
    trainer = SegmentTrainer(
        recipe, backbone, network.preprocessing, parts[0], parts[1], arguments.minutes
    )
    if arguments.start is not None:
        trainer.start_from(arguments.start)
    facts = {
        "start": "another backbone's decoder" if arguments.start else "random weights",
        "recipe": asdict(recipe),
        "backbone": network.sha256,
        "slices": len(parts[0]),
        "masked": int((parts[0].masks.flatten(1).amax(dim=1) > 127).sum()),
        "split": f"{SPLIT}, train",
        "hardware": torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
        "torch": torch.__version__,
        "minutes": arguments.minutes,
    }
    if begun:
        _require_same(out / SEGMENT_RUN, facts)
        trainer.restore(out / CHECKPOINT)
    else:
        (out / SEGMENT_RUN).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    while not trainer.finished:
        row = trainer.run_epoch()
        if float(row["val_score"]) > trainer.progress.best:
            trainer.progress.best = float(row["val_score"])
            torch.save({"segmenter": trainer.averaged.state_dict(), "row": row}, out / BEST)
        append_row(out / HISTORY, row)
        trainer.save(out / CHECKPOINT)
        log.info("%s", "  ".join(f"{name} {short(value)}" for name, value in row.items()))


def _require_same(path: Path, facts: Mapping[str, object]) -> None:
    """Raises `RecipeError` when a run that would go on is another one; it keeps its first facts."""
    old = json.loads(path.read_text(encoding="utf-8"))
    now = json.loads(json.dumps(facts))
    names = ("recipe", "backbone", "slices", "masked", "minutes")
    refuse_another(path.parent, {name: (old.get(name), now[name]) for name in names})


@dataclass(frozen=True)
class SegmentValidation:
    """On slices with a mask: Dice at one half, peaks inside; on others: share without any pixel."""

    median_dice: float
    mean_dice: float
    peak_inside: float
    silent: float

    @property
    def score(self) -> float:
        """What the best epoch has most of."""
        return (self.median_dice + self.mean_dice + self.peak_inside + self.silent) / 4


class SegmentTrainer:
    """One run of a decoder's recipe; the backbone stays as it is, in eval mode."""

    def __init__(
        self,
        recipe: SegmentRecipe,
        backbone: ResNet,
        preprocessing: Preprocessing,
        train: Slices,
        validation: Slices,
        minutes: float | None = None,
    ) -> None:
        self.recipe = recipe
        self.device = next(backbone.parameters()).device
        self.progress = Progress()
        torch.manual_seed(recipe.seed)
        self.segmenter = Segmenter(recipe.shape).to(self.device)
        self.averaged = copy.deepcopy(self.segmenter).eval()
        self._backbone = fused(backbone)
        self._preprocessing = preprocessing
        self._train, self._validation = train, validation
        self._minutes = minutes
        weights, decay = list(self.segmenter.parameters()), recipe.weight_decay
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in weights if p.ndim > 1], "weight_decay": decay},
                {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
        )

    @property
    def finished(self) -> bool:
        """No epoch, or no time, is left."""
        return self.progress.epoch >= self.recipe.epochs or self._share(0.0) >= 1

    def run_epoch(self) -> dict[str, float | int | str]:
        """Train one epoch and measure; the row of figures that the CSV holds."""
        seed = self.recipe.seed * 100_003 + self.progress.epoch
        generator = torch.Generator(device=self.device)
        generator.manual_seed(seed)
        drawn, size = self._draw(generator), self.recipe.batch_size
        # A last batch of one has no batch statistics.
        batches = [drawn[at : at + size] for at in range(0, len(drawn) - 1, size)]
        began, base, total, done = time.monotonic(), self.progress.seconds, 0.0, 0
        for step, places in enumerate(batches):
            for group in self._optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate * cycle(self._share(step / len(batches)))
            total += self._step(places, generator)
            done += 1
            self.progress.steps += 1
            self.progress.seconds = base + time.monotonic() - began
            if step % 20 == 19:
                _say(self.progress.epoch, step + 1, len(batches), total / done)
            if self._share(0.0) >= 1:
                break
        found = self.measure()
        self.progress.seconds = base + time.monotonic() - began
        self.progress.epoch += 1
        return {
            "epoch": self.progress.epoch,
            "seconds": round(self.progress.seconds, 1),
            "train_loss": total / max(1, done),
            "val_median_dice": found.median_dice,
            "val_mean_dice": found.mean_dice,
            "val_peak_inside": found.peak_inside,
            "val_silent": found.silent,
            "val_score": found.score,
        }

    @torch.no_grad()
    def measure(self) -> SegmentValidation:
        """The averaged weights on the validation part, without mirroring."""
        dices, hits, silent = [], [], []
        data = self._validation
        for at in range(0, len(data), 32):
            places = slice(at, at + 32)
            slices, masks = data.pixels[places].float() / 255, data.masks[places] > 127
            chance = torch.sigmoid(self._logits(self.averaged, slices))
            found = chance >= 0.5
            drawn = masks.flatten(1).any(dim=1)
            dices.append(_dice(found.float(), masks.float())[drawn])
            top = chance.flatten(1).argmax(dim=1)
            hits.append(masks.flatten(1).gather(1, top[:, None])[:, 0][drawn])
            silent.append(~found.flatten(1).any(dim=1)[~drawn])
        dice = torch.cat(dices)
        return SegmentValidation(
            median_dice=float(dice.median()),
            mean_dice=float(dice.mean()),
            peak_inside=float(torch.cat(hits).float().mean()),
            silent=float(torch.cat(silent).float().mean()),
        )

    def save(self, path: Path) -> None:
        """Write all that `restore` needs, at once."""
        state = {
            "segmenter": self.segmenter.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "progress": asdict(self.progress),
        }
        draft = path.with_suffix(".new")
        torch.save(state, draft)
        draft.replace(path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint as if the run had not stopped."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.segmenter.load_state_dict(state["segmenter"])
        self.averaged.load_state_dict(state["averaged"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])

    def start_from(self, folder: Path) -> None:
        """Take the best weights of another run, or a bundle's, and go on from there.

        Raises `RecipeError` where there are none or they don't fit, and `BundleError`.
        """
        try:
            state = _decoder_in(folder)
            self.segmenter.load_state_dict(state)
        except (OSError, RuntimeError) as error:
            raise RecipeError(f"{folder} can't be started from: {error}") from error
        self.averaged.load_state_dict(state)

    def _share(self, within: float) -> float:
        by_epoch = (self.progress.epoch + within) / self.recipe.epochs
        by_time = self.progress.seconds / (60 * self._minutes) if self._minutes else 0.0
        return max(by_epoch, by_time)

    def _draw(self, generator: torch.Generator) -> Tensor:
        drawn = self._train.masks.flatten(1).amax(dim=1) > 127
        masked, others = torch.nonzero(drawn).flatten(), torch.nonzero(~drawn).flatten()
        count = min(len(others), round(self.recipe.healthy * len(masked)))
        some = torch.randperm(len(others), generator=generator, device=self.device)[:count]
        places = torch.cat([masked, others[some]])
        order = torch.randperm(len(places), generator=generator, device=self.device)
        return places[order]

    def _step(self, places: Tensor, generator: torch.Generator) -> float:
        data = self._train
        slices, masks = data.pixels[places].float() / 255, data.masks[places].float() / 255
        slices, masks = augment(slices, masks, self.recipe.augmentation, generator)
        self.segmenter.train()
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"
        ):
            logits = self._logits(self.segmenter, slices).float()
        loss = decoder_loss(logits, masks, self.recipe.dice)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.segmenter.parameters(), 5.0)
        self._optimizer.step()
        average_into(self.averaged, self.segmenter, self.recipe.average, self.progress.steps)
        return float(loss.detach())

    def _logits(self, segmenter: Segmenter, slices: Tensor) -> Tensor:
        """(N, S, S) of slices (N, S, S) in 0..1, S the decoder's input size."""
        side = self._preprocessing.input_size
        small = adaptive_avg_pool2d(slices[:, None], side)[:, 0]
        with torch.no_grad():
            features = outputs_of(
                self._backbone, normalized(small, self._preprocessing), self.recipe.shape.layers
            )
        large = normalized(slices, self._preprocessing)[:, :1]
        logits: Tensor = segmenter(large, features)[:, 0]
        return logits


def decoder_loss(logits: Tensor, masks: Tensor, dice: float) -> Tensor:
    """Cross-entropy over all pixels, plus `dice` times the mean of 1 - soft Dice.

    `logits` and `masks` (in 0..1) are (N, S, S). Dice counts slices with a mask only, each the same
    however small its tumor.
    """
    loss = binary_cross_entropy_with_logits(logits, masks)
    drawn = masks.flatten(1).amax(dim=1) > 0.5
    if dice > 0 and bool(drawn.any()):
        overlap = _dice(torch.sigmoid(logits[drawn]), masks[drawn])
        loss = loss + dice * (1 - overlap).mean()
    return loss


def _dice(answer: Tensor, target: Tensor) -> Tensor:
    both = (answer * target).flatten(1).sum(dim=1)
    return (2 * both + 1) / (answer.flatten(1).sum(dim=1) + target.flatten(1).sum(dim=1) + 1)


def _decoder_in(folder: Path) -> Mapping[str, Tensor]:
    if not (folder / DESCRIPTION_FILE).is_file():
        saved = torch.load(folder / BEST, map_location="cpu", weights_only=True)
        state: Mapping[str, Tensor] = saved["segmenter"]
        return state
    segmenter = Bundle.read(folder).load_segmenter()
    if segmenter is None:
        raise RecipeError(f"{folder} holds no decoder")
    return segmenter.state_dict()


def _healthy(label: str) -> bool:
    return label == "no_tumor"


def _say(epoch: int, step: int, steps: int, loss: float) -> None:
    sys.stderr.write(f"epoch {epoch + 1:3d} {step}/{steps} loss {loss:.4f}\n")
