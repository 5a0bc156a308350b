"""The three methods against the package `grad-cam`, and what sets them apart."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, HiResCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor
from torchvision.models import ResNet

from neuroscan.network.bundle import Bundle
from neuroscan.network.layers import UnknownLayer, canonical, split_at
from neuroscan.network.model import build_model
from neuroscan.network.preprocess import preprocess
from neuroscan.settings import SHIPPED_BUNDLE
from services.explain.cam import Cam, UnknownMethod, explain, summed
from tests.pictures import head

ORACLES = {"hirescam": HiResCAM, "gradcam": GradCAM, "gradcam++": GradCAMPlusPlus}
LAYERS = ["layer1[0]", "layer2[-1]", "layer3[2]", "layer3[-1]", "layer4[0]", "layer4[-1]"]


@pytest.fixture(scope="module")
def random_model() -> ResNet:
    torch.manual_seed(3)
    return build_model().eval()


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.read(SHIPPED_BUNDLE)


@pytest.fixture(scope="module")
def shipped_model(bundle: Bundle) -> ResNet:
    return bundle.load_model()


@pytest.fixture(scope="module")
def slice_tensor(bundle: Bundle) -> Tensor:
    return preprocess(head(seed=1), bundle.description.preprocessing)


def oracle(
    model: ResNet, tensor: Tensor, target: int, method: str, layer: str
) -> NDArray[np.float32]:
    """grad-cam's map, scaled by it to 0…1 and to the size of the input."""
    stage, index = layer.rstrip("]").split("[")
    module = getattr(model, stage)[int(index)]
    # The package differentiates by the parameters too, so it needs a graph through all of them.
    for parameter in model.parameters():
        parameter.requires_grad_()
    try:
        with ORACLES[method](model=model, target_layers=[module]) as cam:
            found: NDArray[np.float32] = cam(tensor, targets=[ClassifierOutputTarget(target)])[0]
    finally:
        model.zero_grad(set_to_none=True)
        model.requires_grad_(requires_grad=False)
    return found


def scaled(cam: Cam, side_px: int) -> NDArray[np.float32]:
    """Our raw map after the package's own ReLU and scaling, which it does twice."""
    once = scale_cam_image(np.maximum(cam.map, 0)[None], (side_px, side_px))
    twice: NDArray[np.float32] = scale_cam_image(once)[0]
    return twice


@pytest.mark.parametrize("method", ORACLES)
@pytest.mark.parametrize("layer", LAYERS)
def test_equals_grad_cam_on_a_random_network(random_model: ResNet, method: str, layer: str) -> None:
    tensor = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(5))
    for target in (0, 2):
        ours = scaled(explain(random_model, tensor, target, method, layer), 96)
        theirs = oracle(random_model, tensor, target, method, layer)
        assert np.abs(ours - theirs).max() < 1e-3


@pytest.mark.parametrize("method", ORACLES)
@pytest.mark.parametrize("layer", ["layer2[-1]", "layer3[-1]", "layer4[-1]"])
def test_equals_grad_cam_on_the_shipped_network(
    shipped_model: ResNet, slice_tensor: Tensor, method: str, layer: str
) -> None:
    cams = [explain(shipped_model, slice_tensor, target, method, layer) for target in range(4)]
    assert any(cam.positive_evidence for cam in cams)
    for cam in cams:
        theirs = oracle(shipped_model, slice_tensor, cam.target, method, layer)
        assert np.abs(scaled(cam, slice_tensor.shape[-1]) - theirs).max() < 1e-3


def test_hirescam_is_gradcam_at_the_last_layer_and_only_there(
    shipped_model: ResNet, slice_tensor: Tensor
) -> None:
    def difference(layer: str) -> float:
        hires = explain(shipped_model, slice_tensor, 1, "hirescam", layer).map
        grad = explain(shipped_model, slice_tensor, 1, "gradcam", layer).map
        return float(np.abs(hires - grad).max() / np.abs(hires).max())

    assert difference("layer4[-1]") < 1e-4
    assert difference("layer3[-1]") > 0.05


def test_the_map_has_the_layers_resolution_and_the_score_is_the_logit(
    shipped_model: ResNet, slice_tensor: Tensor
) -> None:
    with torch.no_grad():
        logits = shipped_model(slice_tensor)[0]
    for layer, stride in {
        "layer1[-1]": 4,
        "layer2[-1]": 8,
        "layer3[-1]": 16,
        "layer4[-1]": 32,
    }.items():
        cam = explain(shipped_model, slice_tensor, 3, "hirescam", layer)
        side = slice_tensor.shape[-1] // stride
        assert cam.map.shape == (side, side)
        assert cam.map.dtype == np.float32
        assert cam.score == pytest.approx(float(logits[3]), abs=1e-4)


def test_the_raw_map_follows_the_score_and_is_not_scaled(slice_tensor: Tensor) -> None:
    # Doubling the last layer doubles every score, and so every HiRes-CAM map.
    model = Bundle.read(SHIPPED_BUNDLE).load_model()
    before = explain(model, slice_tensor, 0, "hirescam", "layer3[-1]")
    last = model.fc[3]
    with torch.no_grad():
        last.weight.mul_(2)
        last.bias.mul_(2)
    after = explain(model, slice_tensor, 0, "hirescam", "layer3[-1]")
    assert after.score == pytest.approx(2 * before.score, rel=1e-4)
    assert np.allclose(after.map, 2 * before.map, rtol=1e-3, atol=1e-5)


def test_the_model_is_left_as_it_was(random_model: ResNet) -> None:
    before = {name: value.clone() for name, value in random_model.state_dict().items()}
    explain(random_model, torch.randn(1, 3, 64, 64), 1, "gradcam++", "layer2[0]")
    for name, value in random_model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(parameter.grad is None for parameter in random_model.parameters())
    assert not any(module._forward_hooks for module in random_model.modules())


def test_threads_that_share_a_model_get_their_own_maps(shipped_model: ResNet) -> None:
    spec = Bundle.read(SHIPPED_BUNDLE).description.preprocessing
    tensors = [preprocess(head(seed=seed), spec) for seed in range(8)]
    alone = [explain(shipped_model, tensor, 0, "hirescam", "layer3[-1]").map for tensor in tensors]
    together: dict[int, NDArray[np.float32]] = {}

    def work(index: int) -> Callable[[], None]:
        def run() -> None:
            together[index] = explain(
                shipped_model, tensors[index], 0, "hirescam", "layer3[-1]"
            ).map

        return run

    threads = [threading.Thread(target=work(index)) for index in range(len(tensors))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({alone_map.tobytes() for alone_map in alone}) == len(tensors)
    for index, expected in enumerate(alone):
        assert np.allclose(together[index], expected, rtol=1e-3, atol=1e-5)


def test_what_can_not_be_explained_is_refused(random_model: ResNet) -> None:
    tensor = torch.zeros(1, 3, 64, 64)
    with pytest.raises(UnknownMethod, match="lime"):
        explain(random_model, tensor, 0, "lime", "layer3[-1]")
    with pytest.raises(UnknownLayer, match="layer7"):
        explain(random_model, tensor, 0, "hirescam", "layer7[0]")
    with pytest.raises(ValueError, match="no class 4"):
        explain(random_model, tensor, 4, "hirescam", "layer3[-1]")
    with pytest.raises(ValueError, match="one slice"):
        explain(random_model, torch.zeros(2, 3, 64, 64), 0, "hirescam", "layer3[-1]")
    with pytest.raises(ValueError, match="training mode"):
        explain(build_model(), tensor, 0, "hirescam", "layer3[-1]")


def test_a_sum_of_layers_is_that_of_their_own_maps(
    shipped_model: ResNet, slice_tensor: Tensor
) -> None:
    layers = ("layer2[-1]", "layer3[-1]")
    parts = [explain(shipped_model, slice_tensor, 1, "hirescam", layer) for layer in layers]
    together = explain(shipped_model, slice_tensor, 1, "hirescam", "+".join(layers))
    np.testing.assert_allclose(together.map, summed([part.map for part in parts]), atol=1e-6)
    assert together.score == pytest.approx(parts[0].score, abs=1e-5)


def test_a_layer_that_is_known_is_not_computed_again(
    shipped_model: ResNet, slice_tensor: Tensor
) -> None:
    layer = "layer3[-1]"
    expected = explain(shipped_model, slice_tensor, 1, "hirescam", layer)
    known = {canonical(shipped_model, layer): split_at(shipped_model, layer)[0](slice_tensor)}
    nothing = torch.zeros_like(slice_tensor)
    found = explain(shipped_model, nothing, 1, "hirescam", layer, known=known)
    np.testing.assert_allclose(found.map, expected.map, atol=1e-6)
