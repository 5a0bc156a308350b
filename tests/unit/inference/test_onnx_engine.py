"""ONNX Runtime gives what torch gives, on phantoms and on pictures that are no heads."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroscan.imaging.stored import read_slice_png
from neuroscan.network.bundle import Bundle
from neuroscan.network.device import use_onnx_runtime
from neuroscan.network.layers import UnknownLayer, outputs_of
from neuroscan.network.onnx_session import OnnxSession
from neuroscan.network.preprocess import preprocess
from neuroscan.phantoms import write_phantoms
from neuroscan.settings import SHIPPED_BUNDLE, InferenceSettings
from services.inference.engine import TorchEngine
from services.inference.engines import make_engine
from services.inference.onnx_engine import OnnxEngine

# What `python -m benchmarks.engines` allows over the whole test set.
PROBABILITY, DISTANCE = 1e-4, 1e-4


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.read(SHIPPED_BUNDLE)


@pytest.fixture(scope="module")
def slices(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> list[torch.Tensor]:
    spec = bundle.description.preprocessing
    files = write_phantoms(tmp_path_factory.mktemp("phantoms"))
    pictures = [
        read_slice_png(file.path.read_bytes()) for file in files if file.path.suffix == ".png"
    ]
    assert pictures
    noise = np.random.default_rng(0).integers(0, 256, (200, 300), np.uint8)
    flat = np.zeros((40, 40), np.uint8)
    return [preprocess(picture, spec) for picture in (*pictures, noise, flat)]


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> OnnxEngine:
    return OnnxEngine(bundle, 1)


def test_answers_are_those_of_torch(
    bundle: Bundle, engine: OnnxEngine, slices: list[torch.Tensor]
) -> None:
    expected = TorchEngine(bundle, "cpu", 1).predict(slices)
    for found, right in zip(engine.predict(slices), expected, strict=True):
        assert list(found.probabilities) == pytest.approx(
            list(right.probabilities), abs=PROBABILITY
        )
        assert found.distance == pytest.approx(right.distance, rel=DISTANCE)


def test_company_in_the_batch_changes_nothing(
    engine: OnnxEngine, slices: list[torch.Tensor]
) -> None:
    for tensor, found in zip(slices, engine.predict(slices), strict=True):
        alone = engine.predict([tensor])[0]
        assert list(found.probabilities) == pytest.approx(list(alone.probabilities), abs=1e-5)
        assert found.distance == pytest.approx(alone.distance, rel=1e-4)


def test_runners_of_one_core_each_say_what_all_cores_say(
    bundle: Bundle, engine: OnnxEngine, slices: list[torch.Tensor]
) -> None:
    on_two = OnnxEngine(bundle, 2)
    assert (engine.runners, on_two.runners) == (1, 2)
    expected = engine.predict(slices)
    with ThreadPoolExecutor(2) as runners:
        together = list(runners.map(lambda one: on_two.predict([one], crowded=True)[0], slices))
    for found in (together, on_two.predict(slices)):
        for one, right in zip(found, expected, strict=True):
            assert list(one.probabilities) == pytest.approx(list(right.probabilities), abs=1e-5)
            assert one.distance == pytest.approx(right.distance, rel=1e-4)


def test_layers_come_out_as_torch_has_them(bundle: Bundle, slices: list[torch.Tensor]) -> None:
    model = bundle.load_model()
    layers = ("layer3[-1]", "layer1[0]", "layer4[-1]")
    session = OnnxSession(model, features=(), outputs=layers, threads=1)
    batch = torch.cat(slices[:2])
    with torch.inference_mode():
        expected = outputs_of(model, batch, layers)
    for found, right in zip(session.outputs_of(batch.numpy(), layers), expected, strict=True):
        assert found.shape == tuple(right.shape)
        assert float(np.abs(found - right.numpy()).max()) < 1e-4 * float(right.abs().max())


def test_a_layer_that_is_not_there_is_refused(bundle: Bundle) -> None:
    with pytest.raises(UnknownLayer):
        OnnxSession(bundle.load_model(), features=("layer5[0]",), threads=1)


def test_auto_takes_onnx_runtime_on_the_cpu(bundle: Bundle) -> None:
    settings = InferenceSettings(model_bundle=Path(SHIPPED_BUNDLE), device="cpu")
    assert make_engine(bundle, settings).name == "onnxruntime"
    assert use_onnx_runtime("auto", "cpu")
    assert not use_onnx_runtime("torch", "cpu")
    with pytest.raises(ValueError, match="auto, cpu or cuda"):
        use_onnx_runtime("auto", "tpu")
    with pytest.raises(ValueError, match="auto, torch or onnxruntime"):
        use_onnx_runtime("tensorrt", "cpu")
