"""What runs the network: preprocessed slices in, probabilities and distances out.

ONNX Runtime's engine is in a file of its own, so that this one needs only torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from neuroscan.network.bundle import Bundle, Description
from neuroscan.network.device import choose_device
from neuroscan.network.input_check import InputCheckModel
from neuroscan.network.layers import forward_with_features


@dataclass(frozen=True)
class Prediction:
    """Calibrated class probabilities in the bundle's order, and the input check's distance."""

    probabilities: tuple[float, ...]
    distance: float


def predictions(
    bundle: Description, input_check: InputCheckModel, logits: Tensor, features: Tensor
) -> list[Prediction]:
    """What logits (N, classes) and features (N, D) of one pass say; the same for every engine."""
    scaled = logits.double() / bundle.calibration.temperature
    probabilities = torch.softmax(scaled, dim=1).cpu()
    distances = input_check.score(features)
    return [
        Prediction(probabilities=tuple(row), distance=distance)
        for row, distance in zip(probabilities.tolist(), distances.tolist(), strict=True)
    ]


class Engine(Protocol):
    """Runs the network for one thread, which owns it.

    `batch_best` is the size from which on a larger batch costs as much a slice, so that it would
    only make everyone in it wait; None when larger is always better.
    """

    name: str
    device: str
    device_name: str | None
    batch_best: int | None

    def warm_up(self, batch_max: int) -> None:
        """Prepare the calling thread, and run once at the sizes that will come."""

    def predict(self, batch: Sequence[Tensor]) -> list[Prediction]:
        """The answers for slices (1, 3, S, S), in their order."""


class TorchEngine:
    """PyTorch on CUDA or the CPU, fp32."""

    name = "torch"
    batch_best: int | None = None

    def __init__(self, bundle: Bundle, device: str, threads: int) -> None:
        """Load the weights; raises `BundleError`, and `ValueError` for a missing device."""
        chosen = choose_device(device)
        self.device = chosen.type
        on_card = chosen.type == "cuda"
        self.device_name = torch.cuda.get_device_name(chosen) if on_card else None
        self._device = chosen
        self._threads = threads
        self._bundle = bundle.description
        self._model = bundle.load_model(chosen)
        self._input_check = bundle.load_input_check()

    def warm_up(self, batch_max: int) -> None:
        """Set this thread's share of the CPU, then run one slice and, on CUDA, a full batch."""
        torch.set_num_threads(self._threads)
        side = self._bundle.preprocessing.input_size
        blank = torch.zeros(1, 3, side, side)
        self.predict([blank])
        if self._device.type == "cuda":
            self.predict([blank] * batch_max)

    def predict(self, batch: Sequence[Tensor]) -> list[Prediction]:
        """The answers for slices (1, 3, S, S), in their order."""
        with torch.inference_mode():
            logits, features = forward_with_features(
                self._model,
                torch.cat(list(batch)).to(self._device),
                self._bundle.input_check.layers,
            )
            return predictions(self._bundle, self._input_check, logits, features)
