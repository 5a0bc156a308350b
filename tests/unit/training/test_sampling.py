"""Drawing training slices: every class alike, and a patient by the square root of its slices."""

import pytest
import torch

from training.cache import Slices
from training.data import Picture
from training.sampling import chances, draw

# Four slices of one patient, one of another, and three patients without a tumor.
GROUPS = ("many", "many", "many", "many", "one", "a", "b", "c")
LABELS = (1, 1, 1, 1, 1, 2, 2, 2)


@pytest.fixture
def part() -> Slices:
    count = len(LABELS)
    return Slices(
        pixels=torch.zeros((count, 4, 4), dtype=torch.uint8),
        masks=torch.zeros((count, 4, 4), dtype=torch.uint8),
        known=torch.ones(count, dtype=torch.bool),
        labels=torch.tensor(LABELS),
        pictures=tuple(
            Picture(f"{place}.png", "any", group, "train", None, False)
            for place, group in enumerate(GROUPS)
        ),
    )


def shares(part: Slices, sampling: str, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    drawn = draw(part, count, sampling, generator)
    return torch.bincount(drawn, minlength=len(part)) / count


def test_classes_are_drawn_alike(part: Slices) -> None:
    expected = torch.tensor([0.1] * 5 + [1 / 6] * 3)
    torch.testing.assert_close(chances(part, "balanced") / 2, expected)
    torch.testing.assert_close(shares(part, "balanced", 20_000), expected, atol=0.01, rtol=0)


def test_a_patient_is_drawn_by_the_square_root_of_its_slices(part: Slices) -> None:
    # The class has half of all draws; of them the patient with four slices two thirds, one a third.
    expected = torch.tensor([1 / 12] * 4 + [1 / 6] + [1 / 6] * 3)
    torch.testing.assert_close(chances(part, "groups") / 2, expected)
    torch.testing.assert_close(shares(part, "groups", 20_000), expected, atol=0.01, rtol=0)


@pytest.mark.parametrize("sampling", ["plain", "balanced", "groups"])
def test_no_slice_is_drawn_twice_while_there_are_others(part: Slices, sampling: str) -> None:
    generator = torch.Generator().manual_seed(0)
    assert sorted(draw(part, None, sampling, generator).tolist()) == list(range(len(part)))
    assert len(set(draw(part, 6, sampling, generator).tolist())) == 6
