"""What the masks teach: maps that can be trained, and losses that are zero when they are obeyed."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroscan.network.model import build_model
from services.explain.cam import explain
from training.guidance import (
    Decoders,
    cells,
    evidence_maps,
    forward,
    guidance_loss,
    outside_loss,
    segmentation_loss,
)
from training.recipe import Guidance
from training.validate import peaks_inside, shares_inside


def test_evidence_wholly_inside_the_mask_costs_nothing() -> None:
    maps = torch.full((2, 8, 8), -1.0)
    maps[0, 2:4, 2:4] = 5.0
    inside = torch.zeros(2, 8, 8)
    inside[:, 2:4, 2:4] = 1.0
    # The second map has no positive evidence at all, so none of it is outside.
    assert torch.equal(outside_loss(maps, inside), torch.zeros(2))


def test_having_no_evidence_at_all_costs_more_than_having_it_inside() -> None:
    inside = torch.zeros(1, 8, 8)
    inside[0, 2, 2] = 1.0
    silent = torch.full((1, 8, 8), -1.0)
    enough = silent.clone()
    enough[0, 2, 2] = 2.0
    assert float(outside_loss(enough, inside, least=2.0)) == 0.0
    assert float(outside_loss(silent, inside, least=2.0)) > 5


@given(st.floats(0.05, 1.0))
def test_the_cost_is_the_logarithm_of_the_share_inside(share: float) -> None:
    maps = torch.tensor([[[share, 1 - share]]])
    inside = torch.tensor([[[1.0, 0.0]]])
    assert float(outside_loss(maps, inside)) == pytest.approx(-math.log(share), abs=0.02)


def test_the_cost_pulls_evidence_into_the_mask() -> None:
    maps = torch.rand((1, 6, 6), generator=torch.Generator().manual_seed(1)).requires_grad_()
    inside = torch.zeros(1, 6, 6)
    inside[0, 1, 1] = 1.0
    (gradient,) = torch.autograd.grad(outside_loss(maps, inside).sum(), maps)
    assert gradient[0, 1, 1] < 0
    assert bool((gradient[inside == 0] > 0).all())


def test_the_cell_with_most_of_a_small_tumor_counts_as_inside() -> None:
    masks = torch.zeros(1, 64, 64)
    masks[0, 17:20, 34:36] = 1.0
    covered = cells(masks, (8, 8), margin_px=0)
    assert float(covered[0, 2, 4]) == 1.0
    assert float(covered.sum()) == 1.0
    assert float(cells(torch.zeros(1, 64, 64), (8, 8), margin_px=2).sum()) == 0.0


def test_a_right_segmentation_costs_almost_nothing_and_a_wrong_one_much() -> None:
    target = torch.zeros(2, 8, 8)
    target[:, 2:5, 2:5] = 1.0
    right = torch.where(target > 0, 20.0, -20.0)
    assert float(segmentation_loss(right, target)) < 0.01
    assert float(segmentation_loss(-right, target)) > 10


@pytest.mark.parametrize("layer", ["layer2", "layer3", "layer4"])
@pytest.mark.parametrize("frozen", [0, 4])
def test_the_trained_map_is_the_map_that_the_product_shows(layer: str, frozen: int) -> None:
    torch.manual_seed(0)
    # In single precision a random network's rounding differs by machine and batch size by more
    # than the maps are to agree.
    model = build_model().eval().double()
    batch = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    seen = forward(model, batch, frozen, (layer,))
    targets = torch.tensor([1, 3])
    maps = evidence_maps(seen, targets, (layer,), second_order=False)[layer]
    for place in range(2):
        shown = explain(
            model, batch[place : place + 1], int(targets[place]), "hirescam", f"{layer}[-1]"
        )
        assert maps[place].detach().numpy() == pytest.approx(shown.map, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("half", [False, True])
def test_guidance_teaches_the_network_and_its_decoders(half: bool) -> None:
    torch.manual_seed(0)
    model = build_model().train()
    spec = Guidance(
        segmentation=1.0, segmentation_layers=("layer3",),
        evidence=1.0, evidence_layers=("layer3", "layer4"),
        activation=1.0, activation_layers=("layer3",),
    )  # fmt: skip
    decoders = Decoders(spec.segmentation_layers)
    masks = torch.zeros(2, 64, 64)
    masks[0, 10:20, 10:20] = 1.0
    known = torch.tensor([True, True])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        seen = forward(model, torch.randn(2, 3, 64, 64))
        losses = guidance_loss(seen, torch.tensor([0, 2]), masks, known, decoders, spec)
    assert set(losses) == {"segmentation", "evidence", "activation"}
    sum(losses.values(), torch.zeros(())).backward()  # type: ignore[no-untyped-call]
    for part in (model.layer3, model.layer4, decoders):
        gradients = [p.grad for p in part.parameters() if p.grad is not None]
        assert any(float(gradient.abs().max()) > 0 for gradient in gradients)
        assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)


def test_slices_without_a_mask_are_not_told_where_to_look() -> None:
    spec = Guidance(evidence=1.0, evidence_layers=("layer4",))
    seen = forward(build_model().eval(), torch.randn(1, 3, 64, 64))
    no_mask = torch.zeros(1, 64, 64)
    known = torch.tensor([False])
    assert guidance_loss(seen, torch.tensor([0]), no_mask, known, Decoders(()), spec) == {}


def test_a_peak_counts_where_it_lies_and_a_map_without_evidence_never() -> None:
    maps = torch.zeros(3, 4, 4)
    maps[0, 1, 1], maps[1, 3, 3] = 2.0, 2.0
    maps[2] = -1.0
    masks = torch.zeros(3, 32, 32, dtype=torch.bool)
    masks[:, 8:16, 8:16] = True
    assert peaks_inside(maps, masks).tolist() == [True, False, False]


def test_the_share_of_evidence_is_of_what_speaks_for_the_class() -> None:
    maps = torch.zeros(3, 2, 2)
    maps[0] = torch.tensor([[3.0, 1.0], [0.0, -8.0]])
    maps[1] = torch.tensor([[-1.0, 2.0], [0.0, 0.0]])
    masks = torch.zeros(3, 2, 2, dtype=torch.bool)
    masks[:, 0, 0] = True
    assert shares_inside(maps, masks).tolist() == [0.75, 0.0, 0.0]
