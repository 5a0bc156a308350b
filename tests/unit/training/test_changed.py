"""Slices changed at random for fitting: which slice is which, and the same changes every time."""

import numpy as np
import torch
from torch import Tensor, nn

from neuroscan.network.preprocess import Preprocessing
from training.cache import Slices
from training.changed import DRAWS, observe_changed
from training.data import Picture

SPEC = Preprocessing(32, "square, area", mean=(0.0,) * 3, std=(1.0,) * 3)


class Brightness(nn.Module):
    """The mean of each slice in place of four logits."""

    def forward(self, batch: Tensor) -> Tensor:
        return batch.mean(dim=(1, 2, 3))[:, None].repeat(1, 4)


def slices(count: int) -> Slices:
    """Gray squares on black, each brighter than the one before."""
    pixels = torch.zeros((count, 32, 32), dtype=torch.uint8)
    for place in range(count):
        pixels[place, 8:24, 8:24] = 20 + 200 * place // count
    return Slices(
        pixels=pixels,
        masks=torch.zeros_like(pixels),
        known=torch.zeros(count, dtype=torch.bool),
        labels=torch.arange(count) % 4,
        pictures=tuple(
            Picture(f"{place}.png", "glioma", f"g{place}", "val", None, mirrored=False)
            for place in range(count)
        ),
    )


def test_labels_and_groups_stay_with_their_slice() -> None:
    count = 70
    found = observe_changed(Brightness(), slices(count), SPEC)
    assert found.logits.shape == (DRAWS * count, 4)
    assert found.labels.tolist() == [place % 4 for place in range(count)] * DRAWS
    assert found.groups[count : count + 3] == ("g0", "g1", "g2")
    levels = np.tile(np.arange(count), DRAWS)
    assert np.corrcoef(found.logits[:, 0].numpy(), levels)[0, 1] > 0.7


def test_every_draw_is_another_and_every_call_the_same() -> None:
    first, second = (observe_changed(Brightness(), slices(8), SPEC) for _ in range(2))
    torch.testing.assert_close(first.logits, second.logits, rtol=0, atol=0)
    draws = first.logits[:, 0].reshape(DRAWS, 8)
    assert bool((draws[0] != draws[1]).all())
