"""What every peer does with a slice: our decoding, our preprocessing, our engine.

`INFERENCE_ENGINE` and `TORCH_THREADS` say which engine, as for our service; `PEER_BATCH` how many
slices a batch holds at most (1: the peer's own default, no batching).
"""

import os
from collections.abc import Sequence

from torch import Tensor

from neuroscan.imaging.stored import read_slice_png
from neuroscan.network.bundle import Bundle
from neuroscan.network.preprocess import preprocess
from neuroscan.settings import InferenceSettings
from services.inference.engine import Prediction
from services.inference.engines import make_engine

BATCH = int(os.environ.get("PEER_BATCH", "1"))
BATCH_WAIT_S = 0.002


class Work:
    """The bundle's network, ready."""

    def __init__(self) -> None:
        settings = InferenceSettings()
        bundle = Bundle.read(settings.model_bundle)
        self._spec = bundle.description.preprocessing
        self._classes = bundle.description.classes
        self._engine = make_engine(bundle, settings)
        self._engine.warm_up(BATCH)

    def decode(self, content: bytes) -> Tensor:
        """The network's input of a PNG."""
        return preprocess(read_slice_png(content), self._spec)

    def predict(self, batch: Sequence[Tensor]) -> list[Prediction]:
        """The answers, in their order."""
        return self._engine.predict(batch)

    def body(self, prediction: Prediction) -> dict[str, object]:
        """What goes back to the client."""
        shares = dict(zip(self._classes, prediction.probabilities, strict=True))
        return {"probabilities": shares, "distance": prediction.distance}
