"""Is a map true to its network? Deletion, insertion, ROAD, and the randomization check.

Deletion and insertion: Petsiuk, Das, Saenko, "RISE", 2018. ROAD: Rong et al., "A Consistent and
Efficient Evaluation Strategy for Attribution Methods", 2022, by the `grad-cam` package.
Randomization: Adebayo et al., "Sanity Checks for Saliency Maps", 2018, with shuffled weights.
None of them asks whether the map lies on the tumor.
"""

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models import ResNet

from services.explain.cam import FloatMap
from training.every_map import Row, every_map

if TYPE_CHECKING:
    from pytorch_grad_cam.metrics.road import ROADCombined

STEPS = 16
_BLUR_SHARE = 0.06
_ROAD_PERCENTILES = (80, 90)


@dataclass(frozen=True)
class Faithful:
    """One map's figures on one slice.

    `deletion` (lower is better) and `insertion` (higher) are mean probabilities of the class as
    its places are blurred, or shown in a blurred slice, most relevant first. `road` (higher) is
    the class's probability after the least relevant tenth went, less that after the most relevant
    tenth went, halved.
    """

    deletion: float
    insertion: float
    road: float


def faithful(model: ResNet, tensor: Tensor, target: int, maps: Mapping[Row, FloatMap]) -> (
    dict[Row, Faithful]
):  # fmt: skip
    """Deletion, insertion and ROAD of every map for one preprocessed slice (1, 3, S, S)."""
    # Imported here, since a GPU machine that trains has no such package.
    from pytorch_grad_cam.metrics.road import ROADCombined  # noqa: PLC0415

    side = tensor.shape[-1]
    blurred = _blurred(tensor)
    probability = _Probability(model)
    road = ROADCombined(percentiles=list(_ROAD_PERCENTILES))
    found = {}
    for row, one in maps.items():
        relevance = _at_side(one, side)
        # The imputed pixels get a little noise.
        torch.manual_seed(0)
        found[row] = Faithful(
            deletion=_area(model, tensor, blurred, relevance, target),
            insertion=_area(model, blurred, tensor, relevance, target),
            road=_road(road, probability, tensor, relevance, target),
        )
    return found


def randomized(
    model: ResNet, tensor: Tensor, target: int, maps: Mapping[Row, FloatMap], seed: int
) -> dict[Row, float]:
    """Rank correlation of each map with that of the same network with shuffled weights.

    All weights of the convolutions and of the head are shuffled within their layer. A map that
    explains the network comes out near 0; one that only draws the picture stays near 1.
    """
    shuffled = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for module in shuffled.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            flat = module.weight.data.flatten()
            order = torch.randperm(len(flat), generator=generator)
            module.weight.data = flat[order].reshape(module.weight.shape)
    others = every_map(shuffled, tensor, target).maps
    return {row: rank_correlation(one, others[row]) for row, one in maps.items()}


def rank_correlation(first: FloatMap, second: FloatMap) -> float:
    """Spearman's coefficient of two maps' positive parts; 0 where one is flat."""
    ranks = [_ranks(np.maximum(one, 0).ravel()) for one in (first, second)]
    if any(rank.std() == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _road(
    metric: "ROADCombined", model: nn.Module, tensor: Tensor, relevance: FloatMap, target: int
) -> float:
    with warnings.catch_warnings():
        # The package hands tensors to NumPy in a way that NumPy 2 warns of.
        warnings.simplefilter("ignore", DeprecationWarning)
        found = metric(tensor, relevance[None], [lambda output: output[target]], model)
    return float(found[0])


class _Probability(nn.Module):
    """The network's probabilities instead of its logits."""

    def __init__(self, model: ResNet) -> None:
        super().__init__()
        self._model = model

    def forward(self, batch: Tensor) -> Tensor:
        return torch.softmax(self._model(batch), dim=1)


def _area(model: ResNet, begin: Tensor, end: Tensor, relevance: FloatMap, target: int) -> float:
    """Mean probability of the class while `begin` turns into `end`, most relevant places first."""
    order = np.argsort(-relevance.ravel(), kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    place = torch.from_numpy(rank).reshape(relevance.shape)
    counts = torch.linspace(0, len(order), STEPS + 1)
    batch = torch.cat([torch.where(place < count, end, begin) for count in counts])
    with torch.inference_mode():
        chances = torch.softmax(model(batch), dim=1)[:, target]
    return float(chances.mean())


def _blurred(tensor: Tensor) -> Tensor:
    width = _BLUR_SHARE * tensor.shape[-1]
    planes = [cv2.GaussianBlur(plane.numpy(), (0, 0), width) for plane in tensor[0]]
    return torch.from_numpy(np.stack(planes))[None]


def _at_side(one: FloatMap, side: int) -> FloatMap:
    positive = np.maximum(one, 0)
    return np.asarray(
        cv2.resize(positive, (side, side), interpolation=cv2.INTER_LINEAR), np.float32
    )


def _ranks(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Ranks with ties sharing their mean."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((ends - counts + ends - 1) / 2)[where], np.float64)
