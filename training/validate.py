"""What a network being trained is worth on the validation part: accuracy and pointing game."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate
from torchvision.models import ResNet

from neuroscan.network.model import CLASSES
from neuroscan.network.preprocess import Preprocessing
from training.cache import Slices, normalized
from training.guidance import evidence_maps, forward
from training.recipe import GUIDED

POINTED = ("layer2", "layer3", "layer4")


@dataclass(frozen=True)
class Validation:
    """Shares in 0..1, log loss in nats; `pointing` is by stage, HiRes-CAM of the answer."""

    accuracy: float
    balanced: float
    log_loss: float
    recall: dict[str, float]
    pointing: dict[str, float]

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
            "val_both": self.both,
        }


def validate(
    model: ResNet, slices: Slices, spec: Preprocessing, batch_size: int, maps: int
) -> Validation:
    """Measure the model, in eval mode, on all slices; maps on at most `maps` that have a mask."""
    model.eval()
    drawn = torch.nonzero(slices.masks.flatten(1).amax(dim=1) > 127).flatten().tolist()
    step = max(1.0, len(drawn) / max(1, maps))
    mapped = {drawn[int(index * step)] for index in range(min(maps, len(drawn)))}
    plain = [place for place in range(len(slices)) if place not in mapped]
    logits = torch.empty((len(slices), len(CLASSES)))
    hits = dict.fromkeys(POINTED, 0.0)
    for places, with_maps in ((plain, False), (sorted(mapped), True)):
        for start in range(0, len(places), batch_size):
            some = places[start : start + batch_size]
            part = slices.choose(some)
            batch = normalized(part.pixels.float() / 255, spec)
            logits[some] = _answer(model, batch, part, hits if with_maps else None)
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
        pointing={layer: count / max(1, len(mapped)) for layer, count in hits.items()},
    )


def _answer(model: ResNet, batch: Tensor, part: Slices, hits: dict[str, float] | None) -> Tensor:
    if hits is None:
        with torch.no_grad():
            return forward(model, batch).logits.float().cpu()
    with torch.enable_grad():
        # The first stage that is mapped is a leaf; nothing before it needs a gradient.
        seen = forward(model, batch, len(GUIDED) + 1, POINTED)
        found = evidence_maps(seen, seen.logits.argmax(dim=1), POINTED, second_order=False)
    for layer, maps in found.items():
        hits[layer] += float(peaks_inside(maps.detach().float(), part.masks > 127).sum())
    return seen.logits.detach().float().cpu()


def peaks_inside(maps: Tensor, masks: Tensor) -> Tensor:
    """Whether each map's peak (N, h, w), bilinear at the masks' size (N, S, S), is in its mask.

    A map without positive evidence points nowhere. Returns (N) bool.
    """
    size = (masks.shape[-2], masks.shape[-1])
    positive = maps.clamp_min(0)
    large = interpolate(positive[:, None], size=size, mode="bilinear")[:, 0].flatten(1)
    top, places = large.max(dim=1)
    return masks.flatten(1).gather(1, places[:, None])[:, 0] & (top > 0)
