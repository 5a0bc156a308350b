"""The network on the CPU in ONNX Runtime: the same answers as torch in less time."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroscan.network.bundle import Bundle
from neuroscan.network.onnx_session import OnnxSession
from services.inference.engine import Prediction, predictions, prepare_on_cpu


class OnnxEngine:
    """ONNX Runtime on the CPU, fp32.

    All threads share one batch while there is no other. Under load each runner takes a batch of its
    own with a single thread: together they do more, since none waits for the others' part of a
    layer (measured in docs/performance.md).
    """

    name = "onnxruntime"
    device = "cpu"
    device_name: str | None = None
    precision = "float32"
    # Measured (docs/performance.md): two cores are busy with 4 slices as they are with 16.
    batch_best: int | None = 4

    def __init__(self, bundle: Bundle, threads: int) -> None:
        """Load the weights and make the graph; raises `BundleError`."""
        self._bundle = bundle.description
        self._input_check = bundle.load_input_check()
        self.runners = threads
        model, layers = bundle.load_model(), self._bundle.input_check.layers
        self._shared = OnnxSession(model, features=layers, threads=threads)
        self._single = (
            OnnxSession(model, features=layers, threads=1) if threads > 1 else self._shared
        )

    def prepare(self, pixels: NDArray[np.uint8]) -> Tensor:
        """See `prepare_on_cpu`."""
        return prepare_on_cpu(pixels, self._bundle.preprocessing)

    def warm_up(self, batch_max: int) -> None:
        """Run one slice and a full batch, in each way that there is."""
        # What is left for torch is too small to wake further cores, which the session keeps busy.
        torch.set_num_threads(1)
        side = self._bundle.preprocessing.input_size
        blank = torch.zeros(1, 3, side, side)
        self.predict([blank])
        # The arenas grow to their final size now and not in the first rush.
        for crowded in (False, True) if self.runners > 1 else (False,):
            self.predict([blank] * batch_max, crowded=crowded)

    def predict(self, batch: Sequence[Tensor], *, crowded: bool = False) -> list[Prediction]:
        """The answers for slices (1, 3, S, S), in their order."""
        joined = batch[0] if len(batch) == 1 else torch.cat(list(batch))
        session = self._single if crowded else self._shared
        logits, features = session.classify(joined.numpy())
        with torch.inference_mode():
            distances = self._input_check.score(torch.from_numpy(features))
            return predictions(self._bundle, torch.from_numpy(logits), distances)
