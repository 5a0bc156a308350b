"""PyTorch at a few fixed batch sizes: what runs the network on a GPU.

Weights are folded, channels-last and of a chosen precision. A batch is filled up to the next size,
so that every run reads and writes the same buffers and can be a CUDA graph. Slices are brought to
the device and preprocessed there by the threads that decode them; the thread that owns the engine
only gathers, replays and reads. Without a GPU all but the graphs is the same.
"""

import threading
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroscan.network.bundle import Bundle
from neuroscan.network.device import choose_device, choose_precision
from neuroscan.network.fused import fused
from neuroscan.network.layers import forward_with_features
from neuroscan.network.preprocess import preprocess_tensor, slice_tensor
from services.inference.engine import Prediction, predictions
from services.inference.replay import GraphRecorder, Record, Work, direct

BUCKETS = (1, 2, 4, 8, 16, 32, 64)


class BucketEngine:
    """PyTorch on CUDA or the CPU; features, head, temperature and input check are float32.

    `graphs` False runs the same without CUDA graphs.
    """

    name = "torch"
    batch_best: int | None = BUCKETS[-1]
    runners = 1

    def __init__(
        self,
        bundle: Bundle,
        device: str,
        threads: int,
        precision: str = "auto",
        *,
        graphs: bool = True,
    ) -> None:
        """Load the weights; raises `BundleError`, and `ValueError` (`choose_precision`)."""
        self._device = choose_device(device)
        self._dtype = choose_precision(precision, self._device)
        self._on_card = self._device.type == "cuda"
        self.device = self._device.type
        self.device_name = torch.cuda.get_device_name(self._device) if self._on_card else None
        self.precision = str(self._dtype).removeprefix("torch.")
        self._graphs = graphs and self._on_card
        self._threads = threads
        self._bundle = bundle.description
        self._input_check = bundle.load_input_check().to(self._device)
        network = fused(bundle.load_model())
        head = network.fc
        network.fc = nn.Identity()
        self._network = network.to(self._device, self._dtype, memory_format=torch.channels_last)
        self._network.fc = head.to(self._device)
        self._bringing = torch.cuda.Stream() if self._on_card else None  # type: ignore[no-untyped-call]
        self._lock = threading.Lock()
        self._allocate(1)

    def _allocate(self, size: int) -> None:
        side = self._bundle.preprocessing.input_size
        self._slices = torch.zeros(
            (size, 3, side, side), device=self._device, dtype=self._dtype
        ).contiguous(memory_format=torch.channels_last)
        # A row: the class's logits, then the input check's distance.
        width = len(self._bundle.classes) + 1
        self._answers = torch.zeros((size, width), device=self._device)
        self._read = torch.zeros((size, width), pin_memory=self._on_card)
        self._replays: dict[int, Work] = {}

    def warm_up(self, batch_max: int) -> None:
        """Make the buffers, and record every size up to `batch_max`, the largest first."""
        torch.set_num_threads(self._threads)
        if self._on_card:
            # Sizes never change, so it pays to look for the fastest algorithm once.
            torch.backends.cudnn.benchmark = True
            # float32 means float32.
            torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
        largest = min(batch_max, BUCKETS[-1])
        sizes = sorted({size for size in BUCKETS if size < largest} | {largest})
        record: Record = GraphRecorder() if self._graphs else direct
        with self._lock, torch.inference_mode():
            self._allocate(largest)
            for size in reversed(sizes):
                self._replays[size] = record(self._work(size))

    def _work(self, size: int) -> Work:
        slices, answers = self._slices[:size], self._answers[:size]

        def run() -> None:
            logits, features = forward_with_features(
                self._network, slices, self._bundle.input_check.layers
            )
            distances = self._input_check.score(features)
            answers.copy_(torch.cat([logits, distances.unsqueeze(1)], dim=1))

        return run

    def prepare(self, pixels: NDArray[np.uint8]) -> Tensor:
        """The network's input (1, 3, S, S) on the device, of a slice (H, W); from any thread."""
        slice_ = slice_tensor(pixels)
        with torch.inference_mode():
            if self._bringing is None:
                # A thread's own setting: two small products don't wake the network's cores.
                torch.set_num_threads(1)
                return self._shaped(slice_)
            with torch.cuda.stream(self._bringing):
                item = self._shaped(slice_.pin_memory().to(self._device, non_blocking=True))
                # This thread sleeps until the slice is there; the owner's never waits for it.
                arrived = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
                arrived.record()
            arrived.synchronize()
            return item

    def _shaped(self, slice_: Tensor) -> Tensor:
        ready = preprocess_tensor(slice_, self._bundle.preprocessing)
        return ready.to(self._dtype, memory_format=torch.channels_last)

    def predict(
        self,
        batch: Sequence[Tensor],
        *,
        crowded: bool = False,  # noqa: ARG002 - the only runner
    ) -> list[Prediction]:
        """The answers for slices (1, 3, S, S), in their order, on whichever device they lie.

        Raises `RuntimeError` before `warm_up`.
        """
        with self._lock, torch.inference_mode():
            if not self._replays:
                raise RuntimeError("the engine is not warm")
            largest = len(self._slices)
            found: list[Prediction] = []
            for first in range(0, len(batch), largest):
                found += self._predict(batch[first : first + largest])
            return found

    def _predict(self, batch: Sequence[Tensor]) -> list[Prediction]:
        count = len(batch)
        size = min(size for size in self._replays if size >= count)
        self._slices[:count].copy_(batch[0] if count == 1 else torch.cat(list(batch)))
        # What fills the batch up is blank, so that nobody's slice is computed twice.
        self._slices[count:size].zero_()
        self._replays[size]()
        read = self._read[:count].copy_(self._answers[:count], non_blocking=True)
        if self._on_card:
            torch.cuda.current_stream().synchronize()
        return predictions(self._bundle, read[:, :-1], read[:, -1])
