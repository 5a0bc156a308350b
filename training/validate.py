"""What a network being trained is worth on the validation part: accuracy, and where it looks."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate
from torchvision.models import ResNet

from neuroscan.network.model import CLASSES
from neuroscan.network.preprocess import Preprocessing
from services.spatial.head import head_mask
from training.cache import Slices, normalized
from training.data import sample_evenly
from training.guidance import evidence_maps, forward
from training.recipe import GUIDED

POINTED = ("layer2", "layer3", "layer4")


@dataclass(frozen=True)
class Validation:
    """Shares in 0..1, log loss in nats.

    Both by stage, HiRes-CAM of the answer: `pointing` is the share of annotated tumors that hold
    the peak, `in_head` the mean share of the evidence on healthy slices that lies inside the head.
    """

    accuracy: float
    balanced: float
    log_loss: float
    recall: dict[str, float]
    pointing: dict[str, float]
    in_head: dict[str, float]

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
    return Validation(
        accuracy=float((answers == labels).float().mean()),
        balanced=float(np.mean(list(recall.values()))),
        log_loss=float(cross_entropy(logits.double(), labels)),
        recall=recall,
        pointing=pointing,
        in_head=in_head,
    )


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
    found = []
    for one in pixels.cpu().numpy():
        head = head_mask(one)
        found.append(np.ones(one.shape, dtype=np.bool_) if head is None else head)
    return torch.from_numpy(np.stack(found)).to(pixels.device)


def _evidence(maps: Tensor, masks: Tensor) -> Tensor:
    """The maps' (N, h, w) positive part at the masks' size, bilinear."""
    size = (masks.shape[-2], masks.shape[-1])
    return interpolate(maps.clamp_min(0)[:, None], size=size, mode="bilinear")[:, 0]
