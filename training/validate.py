"""What a network being trained is worth on the validation part: accuracy, and where it looks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate
from torchvision.models import ResNet

from neuroscan.network.model import CLASSES
from neuroscan.network.preprocess import Preprocessing
from training.cache import Slices, normalized
from training.data import sample_evenly
from training.guidance import evidence_maps, forward
from training.recipe import GUIDED
from training.shortcuts import head_of, only_shell, without_shell, without_tumor

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
    model: ResNet, slices: Slices, spec: Preprocessing, batch_size: int, maps: int
) -> Validation:
    """Measure the model, in eval mode, on all slices.

    Maps on at most `maps` that have a mask, and on half as many healthy ones.
    """
    model.eval()
    drawn = slices.masks.flatten(1).amax(dim=1) > 127
    tumors = _some(drawn, maps)
    healthy = _some(slices.labels == CLASSES.index("no_tumor"), maps // 2)
    plain = sorted(set(range(len(slices))) - set(tumors) - set(healthy))
    logits = torch.empty((len(slices), len(CLASSES)))
    pointing, in_head = dict.fromkeys(POINTED, 0.0), dict.fromkeys(POINTED, 0.0)

    def hit(layer: str, found: Tensor, part: Slices) -> None:
        pointing[layer] += float(peaks_inside(found, part.masks > 127).sum()) / len(tumors)

    def share(layer: str, found: Tensor, part: Slices) -> None:
        in_head[layer] += float(shares_inside(found, heads(part.pixels)).sum()) / len(healthy)

    for places, note in ((plain, None), (tumors, hit), (healthy, share)):
        for start in range(0, len(places), batch_size):
            some = places[start : start + batch_size]
            part = slices.choose(some)
            batch = normalized(part.pixels.float() / 255, spec)
            if note is None:
                with torch.no_grad():
                    logits[some] = forward(model, batch).logits.float().cpu()
                continue
            answers, maps_found = _mapped(model, batch)
            logits[some] = answers
            for layer, found in maps_found.items():
                note(layer, found, part)
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
        hidden=answers_with_hidden(
            model, slices.choose(tumors), slices.choose(healthy), spec, batch_size
        ),
    )


def answers_with_hidden(
    model: nn.Module, tumors: Slices, healthy: Slices, spec: Preprocessing, batch_size: int
) -> dict[str, float]:
    """The shares of right answers with something hidden; none where there is no tumor."""
    if len(tumors) == 0:
        return {}

    def right(pixels: list[NDArray[np.uint8]], labels: Tensor) -> float:
        count = 0
        for start in range(0, len(pixels), batch_size):
            part = torch.from_numpy(np.stack(pixels[start : start + batch_size])).to(labels.device)
            with torch.no_grad():
                answers = model(normalized(part.float() / 255, spec)).argmax(dim=1)
            count += int((answers == labels[start : start + batch_size]).sum())
        return count / len(pixels)

    outlined = zip(_arrays(tumors.pixels), _arrays(tumors.masks > 127), strict=True)
    both = torch.cat([tumors.pixels, healthy.pixels])
    labels = torch.cat([tumors.labels, healthy.labels])
    return {
        "without_tumor": right([without_tumor(*one) for one in outlined], tumors.labels),
        "without_shell": right(list(map(without_shell, _arrays(both))), labels),
        "only_shell": right(list(map(only_shell, _arrays(both))), labels),
    }


def _arrays(slices: Tensor) -> list[NDArray[Any]]:
    return list(slices.cpu().numpy())


def _some(chosen: Tensor, count: int) -> list[int]:
    """At most `count` places of those that are chosen (N) bool, evenly spread."""
    places: list[int] = torch.nonzero(chosen).flatten().tolist()
    return sample_evenly(places, count) if count else []


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


def heads(pixels: Tensor) -> Tensor:
    """Where the head is in slices (N, S, S) uint8, bool; everywhere where none is found."""
    return torch.from_numpy(np.stack(list(map(head_of, _arrays(pixels))))).to(pixels.device)


def _evidence(maps: Tensor, masks: Tensor) -> Tensor:
    """The maps' (N, h, w) positive part at the masks' size, bilinear."""
    size = (masks.shape[-2], masks.shape[-1])
    return interpolate(maps.clamp_min(0)[:, None], size=size, mode="bilinear")[:, 0]
