"""The torch engine on the shipped bundle."""

import pytest
import torch

from neuroscan.network.bundle import Bundle
from neuroscan.network.preprocess import preprocess
from neuroscan.settings import SHIPPED_BUNDLE
from services.inference.engine import TorchEngine
from tests.pictures import head


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.read(SHIPPED_BUNDLE)


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> TorchEngine:
    return TorchEngine(bundle, "cpu", 1)


def test_probabilities_are_the_networks_at_the_bundles_temperature(
    bundle: Bundle, engine: TorchEngine
) -> None:
    tensor = preprocess(head(seed=3), bundle.description.preprocessing)
    with torch.no_grad():
        logits = bundle.load_model()(tensor)[0].double()
    expected = torch.softmax(logits / bundle.description.calibration.temperature, dim=0).tolist()
    found = engine.predict([tensor])[0]
    assert list(found.probabilities) == pytest.approx(expected, abs=1e-5)
    assert sum(found.probabilities) == pytest.approx(1)


def test_company_in_the_batch_changes_nothing(bundle: Bundle, engine: TorchEngine) -> None:
    tensors = [preprocess(head(seed=seed), bundle.description.preprocessing) for seed in range(5)]
    together = engine.predict(tensors)
    for tensor, found in zip(tensors, together, strict=True):
        alone = engine.predict([tensor])[0]
        assert list(found.probabilities) == pytest.approx(list(alone.probabilities), abs=1e-4)
        assert found.distance == pytest.approx(alone.distance, rel=1e-3)


def test_noise_is_farther_than_the_threshold(bundle: Bundle, engine: TorchEngine) -> None:
    noise = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    flat = torch.zeros(1, 3, 128, 128)
    for found in engine.predict([noise, flat]):
        assert found.distance > bundle.description.input_check.threshold


def test_a_device_that_is_not_there_is_refused(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="auto, cpu or cuda"):
        TorchEngine(bundle, "tpu", 1)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no CUDA device"):
            TorchEngine(bundle, "cuda", 1)


@pytest.mark.gpu
def test_cuda_gives_what_the_cpu_gives(bundle: Bundle, engine: TorchEngine) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    on_gpu = TorchEngine(bundle, "cuda", 1)
    on_gpu.warm_up(4)
    tensor = preprocess(head(seed=3), bundle.description.preprocessing)
    cpu, cuda = engine.predict([tensor])[0], on_gpu.predict([tensor])[0]
    assert list(cuda.probabilities) == pytest.approx(list(cpu.probabilities), abs=5e-3)
    assert cuda.distance == pytest.approx(cpu.distance, rel=1e-2)
