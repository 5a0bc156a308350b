"""The engine of fixed batch sizes, on the CPU as on a GPU, but for the graphs themselves."""

import threading

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.gpu import ALLOWED
from neuroscan.network.bundle import Bundle
from neuroscan.network.device import choose_precision
from neuroscan.network.fused import fused
from neuroscan.network.layers import forward_with_features
from neuroscan.network.preprocess import preprocess
from neuroscan.settings import SHIPPED_BUNDLE, InferenceSettings
from services.inference.bucket_engine import BucketEngine
from services.inference.engine import Prediction, TorchEngine
from services.inference.engines import make_engine
from tests.pictures import head


def close(found: Prediction, right: Prediction, precision: str) -> None:
    probability, distance = ALLOWED[precision]
    assert list(found.probabilities) == pytest.approx(list(right.probabilities), abs=probability)
    assert found.distance == pytest.approx(right.distance, rel=distance)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.read(SHIPPED_BUNDLE)


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    noise = np.random.default_rng(0).integers(0, 256, (90, 200), np.uint8)
    return [head(seed=1), noise, head(seed=2), np.zeros((40, 40), np.uint8), head(seed=3)]


@pytest.fixture(scope="module")
def right(bundle: Bundle, pictures: list[NDArray[np.uint8]]) -> list[Prediction]:
    """What the network as it is says."""
    engine = TorchEngine(bundle, "cpu", 1)
    return [engine.predict([engine.prepare(picture)])[0] for picture in pictures]


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> BucketEngine:
    made = BucketEngine(bundle, "cpu", 1)
    made.warm_up(8)
    return made


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_answers_are_those_of_the_fp32_network(
    bundle: Bundle, pictures: list[NDArray[np.uint8]], right: list[Prediction], precision: str
) -> None:
    engine = BucketEngine(bundle, "cpu", 1, precision)
    engine.warm_up(4)
    assert engine.precision == precision
    prepared = [engine.prepare(picture) for picture in pictures]
    assert {str(item.dtype) for item in prepared} == {f"torch.{precision}"}
    for found, expected in zip(engine.predict(prepared), right, strict=True):
        close(found, expected, precision)
        assert sum(found.probabilities) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_filling_up_changes_nothing_and_order_is_kept(
    engine: BucketEngine,
    pictures: list[NDArray[np.uint8]],
    right: list[Prediction],
    count: int,
) -> None:
    prepared = [engine.prepare(picture) for picture in pictures]
    # The buffers hold other slices from before.
    engine.predict(prepared[::-1] + prepared[:3])
    found = engine.predict(prepared[:count])
    assert len(found) == count
    for one, expected in zip(found, right[:count], strict=True):
        close(one, expected, "float32")


def test_more_than_the_largest_batch_is_done_in_parts(
    engine: BucketEngine, pictures: list[NDArray[np.uint8]], right: list[Prediction]
) -> None:
    prepared = [engine.prepare(picture) for picture in pictures]
    found = engine.predict(prepared * 4)
    assert len(found) == 20
    for one, expected in zip(found, right * 4, strict=True):
        close(one, expected, "float32")


def test_callers_at_the_same_time_each_get_their_own(
    engine: BucketEngine, pictures: list[NDArray[np.uint8]], right: list[Prediction]
) -> None:
    answers: dict[int, list[Prediction]] = {}
    both = threading.Barrier(len(pictures))

    def call(place: int) -> None:
        both.wait(10)
        answers[place] = [engine.predict([engine.prepare(pictures[place])])[0] for _ in range(4)]

    callers = [threading.Thread(target=call, args=(place,)) for place in range(len(pictures))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    for place, expected in enumerate(right):
        for found in answers[place]:
            close(found, expected, "float32")


def test_what_was_answered_does_not_change_with_the_buffers(
    engine: BucketEngine, pictures: list[NDArray[np.uint8]], right: list[Prediction]
) -> None:
    kept = engine.predict([engine.prepare(pictures[0])])
    engine.predict([engine.prepare(pictures[1])])
    close(kept[0], right[0], "float32")


def test_slices_are_prepared_as_everywhere(
    bundle: Bundle, engine: BucketEngine, pictures: list[NDArray[np.uint8]]
) -> None:
    for picture in pictures:
        expected = preprocess(picture, bundle.description.preprocessing)
        assert torch.equal(engine.prepare(picture), expected)


def test_the_engine_must_be_warm(bundle: Bundle, pictures: list[NDArray[np.uint8]]) -> None:
    cold = BucketEngine(bundle, "cpu", 1)
    with pytest.raises(RuntimeError, match="not warm"):
        cold.predict([cold.prepare(pictures[0])])


def test_folded_weights_give_the_same_logits_and_features(
    bundle: Bundle, pictures: list[NDArray[np.uint8]]
) -> None:
    model, layers = bundle.load_model(), bundle.description.input_check.layers
    batch = torch.cat([preprocess(one, bundle.description.preprocessing) for one in pictures])
    with torch.inference_mode():
        found = forward_with_features(fused(model), batch, layers)
        expected = forward_with_features(model, batch, layers)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    # The model itself is as it was.
    assert type(model.bn1) is torch.nn.BatchNorm2d


def test_the_settings_choose_engine_and_precision(bundle: Bundle) -> None:
    def made(**settings: object) -> tuple[str, str]:
        engine = make_engine(
            bundle, InferenceSettings.model_validate({"device": "cpu", **settings})
        )
        return engine.name, engine.precision

    assert made() == ("onnxruntime", "float32")
    assert made(inference_precision="float32") == ("onnxruntime", "float32")
    assert made(inference_precision="bfloat16") == ("torch", "bfloat16")
    assert made(inference_engine="torch") == ("torch", "float32")
    with pytest.raises(ValueError, match="float32 only"):
        made(inference_engine="onnxruntime", inference_precision="float16")


def test_a_precision_that_is_not_there_is_refused() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) is torch.float32
    assert choose_precision("bfloat16", cpu) is torch.bfloat16
    with pytest.raises(ValueError, match="auto, float32, bfloat16, float16"):
        choose_precision("int8", cpu)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("graphs", [False, True])
def test_cuda_gives_what_the_cpu_gives(
    bundle: Bundle,
    pictures: list[NDArray[np.uint8]],
    right: list[Prediction],
    precision: str,
    *,
    graphs: bool,
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    engine = BucketEngine(bundle, "cuda", 1, precision, graphs=graphs)
    engine.warm_up(8)
    for count in (1, 3, 5):
        found = engine.predict([engine.prepare(picture) for picture in pictures[:count]])
        for one, expected in zip(found, right[:count], strict=True):
            close(one, expected, precision)
