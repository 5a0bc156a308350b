"""The network in ONNX Runtime on the CPU.

The graph is made in memory from the bundle's verified weights whenever a process starts: about a
second, and no file on a disk that could be stale, half written or not the bundle's.
"""

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from torchvision.models import ResNet

from neuroscan.network.layers import canonical
from neuroscan.network.onnx_graph import FEATURES, INPUT, LOGITS, onnx_model
from neuroscan.process import give_memory_back

FloatArray = NDArray[np.float32]


class OnnxSession:
    """A network that runs on `threads` cores, for any number of callers at once.

    `version` is the runtime's.
    """

    version: str = onnxruntime.__version__

    def __init__(
        self,
        model: ResNet,
        *,
        features: tuple[str, ...],
        outputs: tuple[str, ...] = (),
        threads: int,
    ) -> None:
        """`features` and `outputs` name layers, as in `onnx_model`; raises `UnknownLayer`."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads that spin between two batches take the cores from whoever decodes and answers.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._layers = {layer: canonical(model, layer) for layer in outputs}
        self._session = onnxruntime.InferenceSession(
            onnx_model(model, features, outputs).SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
        )
        # The graph's copies of the weights: twice as much as the session itself keeps.
        give_memory_back()

    def classify(self, batch: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Logits (N, classes) and features (N, D) of slices (N, 3, S, S)."""
        logits, features = self._session.run([LOGITS, FEATURES], {INPUT: batch})
        return logits, features

    def outputs_of(self, batch: FloatArray, layers: tuple[str, ...]) -> tuple[FloatArray, ...]:
        """The layers' outputs (N, C, h, w); each must be among the constructor's `outputs`."""
        names = [self._layers[layer] for layer in layers]
        return tuple(self._session.run(names, {INPUT: batch}))
