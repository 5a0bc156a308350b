"""The training loop: phases, schedule, averaged weights, a checkpoint after every epoch."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torchvision.models import ResNet

from neuroscan.network.model import CLASSES
from training.augment import augment, transplant
from training.cache import Slices, normalized
from training.guidance import Decoders, forward, guidance_loss
from training.hide import hide
from training.optimize import average_into, cycle, make_optimizer, set_rate
from training.probes import choose_probes
from training.recipe import GUIDED, STAGES, Guidance, Phase, Recipe
from training.validate import Validation, validate

CHECKPOINT = "checkpoint.pt"
BEST = "best.pt"
_MAPS = 120


@dataclass
class Progress:
    """Where a run stands: the next epoch, steps done in all, seconds trained, best score so far."""

    epoch: int = 0
    steps: int = 0
    seconds: float = 0.0
    best: float = -1.0


class Trainer:
    """One run of a recipe. `on_step` is told (epoch, step, steps in the epoch, mean loss)."""

    def __init__(
        self,
        recipe: Recipe,
        model: ResNet,
        train: Slices,
        validation: Slices,
        *,
        all_stages: bool = False,
        minutes: float | None = None,
        on_step: Callable[[int, int, int, float], None] | None = None,
    ) -> None:
        self.recipe = recipe
        self.device = next(model.parameters()).device
        self.train_slices = train.to(self.device)
        self.validation_slices = validation.to(self.device)
        self._probes = choose_probes(self.validation_slices, _MAPS)
        self.model = model
        chance = recipe.augmentation.hide
        self._hidden = hide(self.train_slices, recipe.seed) if chance > 0 else None
        torch.manual_seed(recipe.seed)
        self.decoders = Decoders(recipe.guidance.segmentation_layers).to(self.device)
        self.averaged = copy.deepcopy(model)
        self.progress = Progress()
        self._all_stages = all_stages
        self._minutes = minutes
        self._on_step = on_step
        self._optimizer: torch.optim.Optimizer | None = None
        self.model.to(memory_format=torch.channels_last)

    @property
    def finished(self) -> bool:
        """No epoch, or no time, is left."""
        return self.progress.epoch >= self.recipe.epochs or self._time_share() >= 1

    def run_epoch(self) -> dict[str, float | int | str]:
        """Train one epoch and measure; the row of figures that the CSV holds."""
        phase, within = self._phase()
        frozen = self._enter(phase, fresh=within == 0)
        guidance = self.recipe.guidance_in(phase)
        generator = torch.Generator(device=self.device)
        generator.manual_seed(self.recipe.seed * 100_003 + self.progress.epoch)
        torch.manual_seed(self.recipe.seed * 100_003 + self.progress.epoch)
        order = self._draw(generator)
        batches = [
            order[start : start + self.recipe.batch_size]
            for start in range(0, len(order), self.recipe.batch_size)
        ]
        began = time.monotonic()
        base = self.progress.seconds
        totals: dict[str, float] = {}
        right = seen = 0
        rate = 0.0
        for step, places in enumerate(batches):
            rate = self._set_rate(phase, (within + step / len(batches)) / phase.epochs)
            losses, correct = self._step(places, frozen, guidance, generator)
            for name, value in losses.items():
                totals[name] = totals.get(name, 0.0) + value
            right, seen = right + correct, seen + len(places)
            self.progress.steps += 1
            self.progress.seconds = base + time.monotonic() - began
            if self._on_step:
                self._on_step(
                    self.progress.epoch, step + 1, len(batches), totals["loss"] / (step + 1)
                )
            if self._time_share() >= 1:
                break
        count = max(1, math.ceil(seen / self.recipe.batch_size))
        found = self.measure()
        self.progress.seconds = base + time.monotonic() - began
        self.progress.epoch += 1
        return {
            "epoch": self.progress.epoch,
            "phase": phase.name,
            "learning_rate": rate,
            "seconds": round(self.progress.seconds, 1),
            **{f"train_{name}": value / count for name, value in totals.items()},
            "train_accuracy": right / max(1, seen),
            **found.figures(),
        }

    def measure(self, model: ResNet | None = None) -> Validation:
        """A model, by default the one trained (`best_model`), on the validation part."""
        return validate(
            model or self.best_model,
            self.validation_slices,
            self.recipe.preprocessing,
            self.recipe.batch_size,
            self._probes,
        )

    @property
    def best_model(self) -> ResNet:
        """The averaged weights where the recipe averages, else the weights themselves."""
        return self.averaged if self.recipe.average > 0 else self.model

    def save(self, path: Path) -> None:
        """Write all that `restore` needs, at once."""
        assert self._optimizer is not None
        state = {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "decoders": self.decoders.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "progress": asdict(self.progress),
        }
        draft = path.with_suffix(".new")
        torch.save(state, draft)
        draft.replace(path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint as if the run had not stopped."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.decoders.load_state_dict(state["decoders"])
        self.progress = Progress(**state["progress"])
        if not self.finished:
            phase, within = self._phase()
            self._enter(phase, fresh=True)
            if within > 0:
                assert self._optimizer is not None
                self._optimizer.load_state_dict(state["optimizer"])

    def _phase(self) -> tuple[Phase, int]:
        before = 0
        for phase in self.recipe.phases:
            if self.progress.epoch < before + phase.epochs:
                return phase, self.progress.epoch - before
            before += phase.epochs
        raise ValueError("the run is finished")

    def _enter(self, phase: Phase, *, fresh: bool) -> int:
        trains = STAGES if self._all_stages else phase.trains
        for name, stage in self.model.named_children():
            stage.requires_grad_(name in trains)
        if fresh or self._optimizer is None:
            self._optimizer = make_optimizer(self.recipe, phase, self.model, self.decoders)
        if "conv1" in trains or "bn1" in trains:
            return 0
        first = next((i for i, name in enumerate(GUIDED) if name in trains), len(GUIDED))
        return first + 1

    def _set_rate(self, phase: Phase, share: float) -> float:
        assert self._optimizer is not None
        share = max(share, self._time_share())
        factor = cycle(share) if self.recipe.schedule == "one_cycle" else 1.0
        rate = phase.learning_rate * factor
        set_rate(self._optimizer, rate)
        return rate

    def _time_share(self) -> float:
        return self.progress.seconds / (60 * self._minutes) if self._minutes else 0.0

    def _draw(self, generator: torch.Generator) -> Tensor:
        labels = self.train_slices.labels
        count = self.recipe.epoch_pictures or len(labels)
        if self.recipe.sampling == "plain":
            return torch.randperm(len(labels), generator=generator, device=self.device)[:count]
        weights = 1.0 / torch.bincount(labels).float()[labels]
        # With replacement: without it the rarer classes are used up before the epoch ends.
        return torch.multinomial(weights, count, replacement=True, generator=generator)

    def _step(
        self, places: Tensor, frozen: int, guidance: Guidance, generator: torch.Generator
    ) -> tuple[dict[str, float], int]:
        recipe = self.recipe
        assert self._optimizer is not None
        self._mode(frozen)
        batch, masks, known, labels = self._batch(places, generator)
        with torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"
        ):
            seen = forward(
                self.model,
                normalized(batch, recipe.preprocessing),
                frozen,
                guidance.evidence_layers,
            )
            answer = cross_entropy(
                seen.logits.float(), labels, label_smoothing=recipe.label_smoothing
            )
            losses = guidance_loss(seen, labels, masks, known, self.decoders, guidance)
            loss = answer + sum(losses.values(), torch.zeros((), device=self.device))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        trained = [p for group in self._optimizer.param_groups for p in group["params"]]
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(trained, recipe.clip_norm)
        self._optimizer.step()
        if recipe.average > 0:
            average_into(self.averaged, self.model, recipe.average, self.progress.steps)
        values = {name: float(value.detach()) for name, value in losses.items()}
        values |= {"answer": float(answer.detach()), "loss": float(loss.detach())}
        return values, int((seen.logits.argmax(dim=1) == labels).sum())

    def _batch(
        self, places: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        data, spec = self.train_slices, self.recipe.augmentation
        pixels, drawn, labels = data.pixels[places], data.masks[places], data.labels[places]
        if self._hidden is not None:
            pixels, drawn, labels = self._hidden.draw(data, places, spec.hide, generator)
        slices, masks = augment(pixels.float() / 255, drawn.float() / 255, spec, generator)
        if spec.transplant > 0:
            healthy = (labels == CLASSES.index("no_tumor")) & data.known[places]
            slices = transplant(slices, masks, healthy, spec.transplant, generator)
        return slices, masks, data.known[places], labels

    def _mode(self, frozen: int) -> None:
        self.model.train()
        if self.recipe.batch_norm == "frozen":
            for module in self.model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
            return
        if frozen > 0:
            self.model.bn1.eval()
        for index, stage in enumerate(GUIDED):
            if frozen > index + 1:
                getattr(self.model, stage).eval()


def epochs(trainer: Trainer) -> Iterator[dict[str, float | int | str]]:
    """Run what is left of the recipe, a row an epoch."""
    while not trainer.finished:
        yield trainer.run_epoch()
