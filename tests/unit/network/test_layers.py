"""Cutting the network at a named layer."""

import pytest
import torch
from torchvision.models import ResNet

from neuroscan.network.layers import (
    UnknownLayer,
    canonical,
    forward_with_features,
    layer_names,
    split_at,
)
from neuroscan.network.model import build_model


@pytest.fixture(scope="module")
def model() -> ResNet:
    torch.manual_seed(0)
    return build_model().eval()


@pytest.mark.parametrize("layer", ["layer1[0]", "layer2[-1]", "layer3[2]", "layer4[-1]"])
def test_trunk_and_tail_are_the_whole_network(model: ResNet, layer: str) -> None:
    batch = torch.randn(2, 3, 64, 64)
    trunk, tail = split_at(model, layer)
    with torch.no_grad():
        assert torch.allclose(tail(trunk(batch)), model(batch), atol=1e-5)


def test_the_layers_are_the_papers_3_4_6_3(model: ResNet) -> None:
    counts = [sum(name.startswith(f"layer{n}") for name in layer_names(model)) for n in range(1, 5)]
    assert counts == [3, 4, 6, 3]
    assert canonical(model, "layer3[-1]") == "layer3[5]"


@pytest.mark.parametrize("layer", ["layer5[0]", "layer3", "layer3[6]", "layer3[-7]", "fc", "x[0]"])
def test_an_unknown_layer_is_refused_by_name(model: ResNet, layer: str) -> None:
    with pytest.raises(UnknownLayer, match=r"layer"):
        split_at(model, layer)


def test_features_are_means_and_deviations_of_the_same_pass(model: ResNet) -> None:
    batch = torch.randn(3, 3, 64, 64)
    trunk, _ = split_at(model, "layer2[-1]")
    with torch.no_grad():
        logits, features = forward_with_features(model, batch, ("layer1[-1]", "layer2[-1]"))
        hidden = trunk(batch)
        assert torch.allclose(logits, model(batch), atol=1e-5)
    assert features.shape == (3, 2 * (256 + 512))
    assert torch.allclose(features[:, 512:1024], hidden.mean(dim=(2, 3)), atol=1e-5)
    deviation = hidden.flatten(2).std(dim=2, correction=0)
    assert torch.allclose(features[:, 1024:], deviation, atol=1e-4)
