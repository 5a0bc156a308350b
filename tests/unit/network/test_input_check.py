"""The distance of the input check."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroscan.network.input_check import InputCheckModel


def features(count: int, seed: int) -> torch.Tensor:
    """Correlated features of four hidden causes, on very different scales."""
    generator = torch.Generator().manual_seed(seed)
    causes = torch.randn(count, 4, generator=generator)
    mixing = torch.randn(4, 20, generator=torch.Generator().manual_seed(99))
    scales = torch.logspace(-3, 3, 20)
    return (causes @ mixing + 0.1 * torch.randn(count, 20, generator=generator)) * scales + 5


def test_training_slices_are_at_distance_one_on_average() -> None:
    seen = features(500, seed=1)
    score = InputCheckModel.fit(seen, components=4).score(seen)
    assert float(score.square().mean()) == pytest.approx(1, rel=1e-3)


def test_new_slices_of_the_same_kind_are_near_and_others_far() -> None:
    check = InputCheckModel.fit(features(500, seed=1), components=4)
    near = check.score(features(200, seed=2)).quantile(0.99)
    far_along = check.score(features(50, seed=3) * 6 - 25)
    off_plane = features(50, seed=4)
    off_plane[:, ::2] = features(50, seed=5)[:, ::2]
    assert far_along.median() > near
    assert check.score(off_plane).min() > near


@given(st.floats(0.01, 100), st.integers(0, 1000))
def test_the_unit_of_the_features_does_not_matter(factor: float, seed: int) -> None:
    seen, new = features(100, seed), features(10, seed + 1)
    plain = InputCheckModel.fit(seen, components=3).score(new)
    scaled = InputCheckModel.fit(seen * factor, components=3).score(new * factor)
    assert torch.allclose(plain, scaled, rtol=1e-2)


def test_a_feature_that_never_varied_does_not_divide_by_zero() -> None:
    seen = features(100, seed=1)
    seen[:, 3] = 7
    assert InputCheckModel.fit(seen, components=4).score(seen).isfinite().all()


def test_statistics_survive_their_file_form() -> None:
    check = InputCheckModel.fit(features(100, seed=1), components=4)
    again = InputCheckModel.from_tensors(check.tensors())
    new = features(10, seed=2)
    assert torch.equal(check.score(new), again.score(new))


def test_statistics_that_do_not_fit_are_refused() -> None:
    tensors = InputCheckModel.fit(features(100, seed=1), components=4).tensors()
    with pytest.raises(ValueError, match="needs the tensors"):
        InputCheckModel.from_tensors({**tensors, "more": torch.zeros(1)})
    with pytest.raises(ValueError, match="variance has the shape"):
        InputCheckModel.from_tensors({**tensors, "variance": torch.zeros(3)})
    with pytest.raises(ValueError, match="components"):
        InputCheckModel.fit(features(100, seed=1), components=20)
