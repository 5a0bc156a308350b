"""One pass of the network for all that an explanation needs before gradients.

The decoder wants the layers of the slice and of its mirror image, the map the output of the layer
where its gradients begin: both come out of the same pass, on the CPU in ONNX Runtime.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torchvision.models import ResNet

from neuroscan.network.device import use_onnx_runtime
from neuroscan.network.layers import canonical, outputs_of


class Backbone:
    """The outputs of named layers; `layers` are their canonical names."""

    def __init__(
        self, model: ResNet, layers: tuple[str, ...], *, engine: str, device: str, threads: int
    ) -> None:
        """Raises `UnknownLayer`, and `ValueError` for an engine that isn't there."""
        self._model = model
        self.layers = tuple(dict.fromkeys(canonical(model, layer) for layer in layers))
        self._session = None
        if use_onnx_runtime(engine, device):
            from neuroscan.network.onnx_session import OnnxSession  # noqa: PLC0415 - as above

            self._session = OnnxSession(model, features=(), outputs=self.layers, threads=threads)

    def __call__(self, batch: Tensor) -> Mapping[str, Tensor]:
        """Each layer's output (N, C, h, w) of preprocessed slices (N, 3, S, S)."""
        if self._session is not None:
            found = self._session.outputs_of(batch.numpy(), self.layers)
            return dict(zip(self.layers, map(torch.from_numpy, found), strict=True))
        with torch.no_grad():
            return dict(zip(self.layers, outputs_of(self._model, batch, self.layers), strict=True))
