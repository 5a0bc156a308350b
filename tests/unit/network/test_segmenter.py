"""The segmentation decoder: shapes, what it reads, what it refuses; layers' outputs."""

import pytest
import torch

from neuroscan.network.layers import UnknownLayer, outputs_of, split_at
from neuroscan.network.model import build_model
from neuroscan.network.segmenter import Segmenter, SegmenterShape

SHAPE = SegmenterShape(
    input_size=64,
    widths=(4, 6, 8, 10, 12),
    layers=("layer2[-1]", "layer4[-1]"),
    joins=(8, 32),
)


@pytest.fixture
def segmenter() -> Segmenter:
    torch.manual_seed(3)
    return Segmenter(SHAPE).eval()


def features(side: int) -> list[torch.Tensor]:
    torch.manual_seed(4)
    return [torch.rand(2, 512, side, side), torch.rand(2, 2048, side // 4, side // 4)]


@pytest.mark.parametrize("side", [4, 8, 16])
def test_one_logit_a_pixel_whatever_resolution_the_features_have(
    segmenter: Segmenter, side: int
) -> None:
    answer = segmenter(torch.rand(2, 1, 64, 64), features(side))
    assert answer.shape == (2, 1, 64, 64)
    assert torch.isfinite(answer).all()


def test_pixels_and_every_layer_have_a_say(segmenter: Segmenter) -> None:
    slices, seen = torch.rand(2, 1, 64, 64), features(8)
    plain = segmenter(slices, seen)
    assert not torch.allclose(plain, segmenter(torch.rand(2, 1, 64, 64), seen), atol=1e-4)
    for place in range(len(seen)):
        changed = [feature * (1 + (place == index)) for index, feature in enumerate(seen)]
        assert not torch.allclose(plain, segmenter(slices, changed), atol=1e-5)


def test_an_untrained_decoder_finds_almost_nothing(segmenter: Segmenter) -> None:
    chance = torch.sigmoid(segmenter(torch.rand(2, 1, 64, 64), features(8)))
    assert float(chance.detach().mean()) < 0.1


@pytest.mark.parametrize(
    "change",
    [
        {"input_size": 100},
        {"input_size": 32},
        {"widths": (4, 6, 8)},
        {"widths": (0, 6, 8, 10, 12)},
        {"layers": ("layer2[-1]", "layer2[-1]")},
        {"layers": ("layer2[0]", "layer4[-1]")},
        {"joins": (8,)},
        {"joins": (2, 32)},
    ],
)
def test_a_shape_that_does_not_fit_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"widths|input_size|layer"):
        SegmenterShape(**{**vars(SHAPE), **change})


def test_outputs_of_layers_are_those_of_the_network_cut_there() -> None:
    torch.manual_seed(5)
    model, batch = build_model().eval(), torch.rand(1, 3, 64, 64)
    wanted = ("layer3[-1]", "layer1[0]", "layer3[5]")
    with torch.no_grad():
        found = outputs_of(model, batch, wanted)
        for name, output in zip(wanted, found, strict=True):
            torch.testing.assert_close(output, split_at(model, name)[0](batch))


def test_outputs_of_stop_at_the_last_layer_that_is_wanted() -> None:
    model = build_model().eval()
    ran: list[bool] = []
    model.layer3[0].register_forward_hook(lambda *_: ran.append(True))
    outputs_of(model, torch.rand(1, 3, 64, 64), ("layer2[-1]",))
    assert not ran
    with pytest.raises(UnknownLayer):
        outputs_of(model, torch.rand(1, 3, 64, 64), ("layer9[-1]",))
