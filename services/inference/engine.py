"""What runs the network: preprocessed slices in, probabilities and distances out.

ONNX Runtime's engine is in a file of its own, so that this one needs only torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroscan.network.bundle import Bundle, Description
from neuroscan.network.device import choose_device
from neuroscan.network.layers import forward_with_features
from neuroscan.network.preprocess import Preprocessing, preprocess


@dataclass(frozen=True)
class Prediction:
    """Calibrated class probabilities in the bundle's order, and the input check's distance."""

    probabilities: tuple[float, ...]
    distance: float


def predictions(bundle: Description, logits: Tensor, distances: Tensor) -> list[Prediction]:
    """What logits (N, classes) and distances (N) of one pass say; the same for every engine."""
    scaled = logits.double() / bundle.calibration.temperature
    probabilities = torch.softmax(scaled, dim=1).cpu()
    return [
        Prediction(probabilities=tuple(row), distance=distance)
        for row, distance in zip(probabilities.tolist(), distances.tolist(), strict=True)
    ]


def prepare_on_cpu(pixels: NDArray[np.uint8], spec: Preprocessing) -> Tensor:
    """The network's input (1, 3, S, S) of a slice (H, W), for a thread that only decodes."""
    # A thread's own setting: two small products are not worth waking the network's cores.
    torch.set_num_threads(1)
    return preprocess(pixels, spec)


class Engine(Protocol):
    """Runs the network for `runners` threads, which own it; any thread may prepare slices.

    `precision` is what the network computes in: float32, bfloat16 or float16. `batch_best` is the
    size from which on a larger batch costs as much a slice, so that it would only make everyone in
    it wait; None when larger is always better.
    """

    name: str
    device: str
    device_name: str | None
    precision: str
    batch_best: int | None
    runners: int

    def prepare(self, pixels: NDArray[np.uint8]) -> Tensor:
        """The network's input (1, 3, S, S) of a slice (H, W), where the network wants it."""

    def warm_up(self, batch_max: int) -> None:
        """Prepare the calling thread, one of the runners, and run at the sizes that will come."""

    def predict(self, batch: Sequence[Tensor], *, crowded: bool = False) -> list[Prediction]:
        """The answers for slices (1, 3, S, S), in their order.

        `crowded` says that other runners are at work or about to be, so that a core each is best.
        """


class TorchEngine:
    """PyTorch on CUDA or the CPU, fp32, the network as it is: what the faster ones must equal."""

    name = "torch"
    precision = "float32"
    # Measured (docs/performance.md): larger batches cost as much a slice.
    batch_best: int | None = 16
    runners = 1

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

    def prepare(self, pixels: NDArray[np.uint8]) -> Tensor:
        """See `prepare_on_cpu`."""
        return prepare_on_cpu(pixels, self._bundle.preprocessing)

    def warm_up(self, batch_max: int) -> None:
        """Set this thread's share of the CPU, then run one slice and, on CUDA, a full batch."""
        torch.set_num_threads(self._threads)
        side = self._bundle.preprocessing.input_size
        blank = torch.zeros(1, 3, side, side)
        self.predict([blank])
        if self._device.type == "cuda":
            self.predict([blank] * batch_max)

    def predict(
        self,
        batch: Sequence[Tensor],
        *,
        crowded: bool = False,  # noqa: ARG002 - the only runner
    ) -> list[Prediction]:
        """The answers for slices (1, 3, S, S), in their order."""
        with torch.inference_mode():
            logits, features = forward_with_features(
                self._model,
                torch.cat(list(batch)).to(self._device),
                self._bundle.input_check.layers,
            )
            return predictions(self._bundle, logits, self._input_check.score(features))
