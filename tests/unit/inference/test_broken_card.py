"""A card that fails before a slice reaches the network: its process ends, and nothing is spent."""

import time
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

from neuroscan.contracts.problems import Unavailable
from neuroscan.network.bundle import Bundle
from neuroscan.settings import SHIPPED_BUNDLE, InferenceSettings
from services.inference import app
from services.inference.batcher import FAILURES_MAX, BatcherState
from services.inference.engine import Prediction
from tests.pictures import head, png


class BrokenCard:
    """An engine that is warm, and then can't take a slice."""

    name = "broken"
    device = "none"
    device_name: str | None = None
    precision = "float32"
    batch_best: int | None = None
    runners = 1

    def prepare(self, pixels: NDArray[np.uint8]) -> Tensor:
        raise RuntimeError(f"CUDA error: an illegal memory access ({pixels.shape})")

    def warm_up(self, batch_max: int) -> None:
        pass

    def predict(self, batch: Sequence[Tensor], *, crowded: bool = False) -> list[Prediction]:
        raise NotImplementedError


def test_a_card_that_takes_no_slice_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(app, "end_process", lambda: ended.append(True))
    bundle = Bundle.read(SHIPPED_BUNDLE).description
    service = app.Service(bundle, BrokenCard(), InferenceSettings())
    service.batcher.start()
    ends = time.monotonic() + 5
    while service.batcher.state is not BatcherState.READY and time.monotonic() < ends:
        time.sleep(0.01)
    content = png(head())
    for _ in range(FAILURES_MAX):
        with pytest.raises(Unavailable):
            service.decode(content)
    assert service.batcher.state is BatcherState.FAILED
    assert ended == [True]
    service.batcher.close(1)
