"""What a network being trained is worth on the validation part: accuracy, and where it looks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate
from torchvision.models import ResNet

from neuroscan.network.model import CLASSES
from neuroscan.network.preprocess import Preprocessing
from training.cache import Slices, normalized
from training.guidance import evidence_maps, forward
from training.probes import Probes
from training.recipe import GUIDED

POINTED = ("layer2", "layer3", "layer4")


@dataclass(frozen=True)
class Validation:
    """Shares in 0..1, log loss in nats.

    Both by stage, HiRes-CAM of the answer: `pointing` is the share of annotated tumors that hold
    the peak, `in_head` the mean share of the evidence on healthy slices that lies inside the head.
    Of the same annotated tumors `without_tumor` are given their class with the tumor filled in;
    `without_shell` and `only_shell` are the accuracy on all mapped slices without scalp and skull
    and with these alone (`training.shortcuts`); `hidden` lacks all three where no tumor is
    annotated. `planes` is the accuracy in each known plane.
    """

    accuracy: float
    balanced: float
    log_loss: float
    recall: dict[str, float]
    pointing: dict[str, float]
    in_head: dict[str, float]
    planes: dict[str, float]
    hidden: dict[str, float]

    @property
    def both(self) -> float:
        """The mean of accuracy and the best pointing game of the stages but the last.

        At the last stage HiRes-CAM is Grad-CAM, so it is not the default map there.
        """
        return (self.accuracy + max(self.pointing["layer2"], self.pointing["layer3"])) / 2

    def figures(self) -> dict[str, float]:
        """The figures as columns of a run's CSV."""
        return {
            "val_accuracy": self.accuracy,
            "val_balanced": self.balanced,
            "val_log_loss": self.log_loss,
            **{f"val_recall_{name}": value for name, value in self.recall.items()},
            **{f"val_pointing_{layer}": value for layer, value in self.pointing.items()},
            **{f"val_in_head_{layer}": value for layer, value in self.in_head.items()},
            **{f"val_accuracy_{plane}": value for plane, value in self.planes.items()},
            **{f"val_{name}": value for name, value in self.hidden.items()},
            "val_both": self.both,
        }


def validate(
    model: ResNet, slices: Slices, spec: Preprocessing, batch_size: int, probes: Probes
) -> Validation:
    """Measure the model, in eval mode, on all slices; maps on the probes."""
    model.eval()
    tumors, healthy = probes.tumors, probes.healthy
    plain = sorted(set(range(len(slices))) - set(tumors) - set(healthy))
    logits = torch.empty((len(slices), len(CLASSES)))
    drawn = slices.masks[tumors] > 127
    pointing, in_head = dict.fromkeys(POINTED, 0.0), dict.fromkeys(POINTED, 0.0)

    def hit(layer: str, found: Tensor, start: int) -> None:
        inside = peaks_inside(found, drawn[start : start + len(found)])
        pointing[layer] += float(inside.sum()) / len(tumors)

    def share(layer: str, found: Tensor, start: int) -> None:
        inside = shares_inside(found, probes.heads[start : start + len(found)])
        in_head[layer] += float(inside.sum()) / len(healthy)

    for places, note in ((plain, None), (tumors, hit), (healthy, share)):
        for start in range(0, len(places), batch_size):
            some = places[start : start + batch_size]
            batch = normalized(slices.pixels[some].float() / 255, spec)
            if note is None:
                with torch.no_grad():
                    logits[some] = forward(model, batch).logits.float().cpu()
                continue
            answers, maps_found = _mapped(model, batch)
            logits[some] = answers
            for layer, found in maps_found.items():
                note(layer, found, start)
    labels = slices.labels.cpu()
    answers = logits.argmax(dim=1)
    recall = {
        name: float((answers[labels == index] == index).float().mean())
        for index, name in enumerate(CLASSES)
        if bool((labels == index).any())
    }
    right = (answers == labels).float()
    found_in = [picture.plane for picture in slices.pictures]
    planes = {
        plane: float(right[torch.tensor([plane == other for other in found_in])].mean())
        for plane in sorted({plane for plane in found_in if plane})
    }
    return Validation(
        accuracy=float(right.mean()),
        balanced=float(np.mean(list(recall.values()))),
        log_loss=float(cross_entropy(logits.double(), labels)),
        recall=recall,
        pointing=pointing,
        in_head=in_head,
        planes=planes,
        hidden=answers_with_hidden(model, probes.hidden, spec, batch_size),
    )


def answers_with_hidden(
    model: nn.Module, hidden: Mapping[str, Slices], spec: Preprocessing, batch_size: int
) -> dict[str, float]:
    """The share of right answers to each of the probes' `hidden` slices."""
    return {name: _accuracy(model, slices, spec, batch_size) for name, slices in hidden.items()}


def _accuracy(model: nn.Module, slices: Slices, spec: Preprocessing, batch_size: int) -> float:
    right = 0
    for start in range(0, len(slices), batch_size):
        part = slices.pixels[start : start + batch_size]
        with torch.no_grad():
            answers = model(normalized(part.float() / 255, spec)).argmax(dim=1)
        right += int((answers == slices.labels[start : start + batch_size]).sum())
    return right / len(slices)


def _mapped(model: ResNet, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Logits (N, classes) on the CPU and each stage's map (N, h, w) of the network's answer."""
    with torch.enable_grad():
        # The first stage that is mapped is a leaf; nothing before it needs a gradient.
        seen = forward(model, batch, len(GUIDED) + 1, POINTED)
        found = evidence_maps(seen, seen.logits.argmax(dim=1), POINTED, second_order=False)
    maps = {layer: each.detach().float() for layer, each in found.items()}
    return seen.logits.detach().float().cpu(), maps


def peaks_inside(maps: Tensor, masks: Tensor) -> Tensor:
    """Whether each map's peak (N, h, w), bilinear at the masks' size (N, S, S), is in its mask.

    A map without positive evidence points nowhere. Returns (N) bool.
    """
    top, places = _evidence(maps, masks).flatten(1).max(dim=1)
    return masks.flatten(1).gather(1, places[:, None])[:, 0] & (top > 0)


def shares_inside(maps: Tensor, masks: Tensor) -> Tensor:
    """The share (N) of each map's positive evidence in its mask; 0 where it has none."""
    evidence = _evidence(maps, masks)
    inside = (evidence * masks).flatten(1).sum(dim=1)
    return inside / evidence.flatten(1).sum(dim=1).clamp_min(1e-12)


def _evidence(maps: Tensor, masks: Tensor) -> Tensor:
    """The maps' (N, h, w) positive part at the masks' size, bilinear."""
    size = (masks.shape[-2], masks.shape[-1])
    return interpolate(maps.clamp_min(0)[:, None], size=size, mode="bilinear")[:, 0]
