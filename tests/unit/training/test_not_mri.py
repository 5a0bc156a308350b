"""Junk pictures, and that the shipped input check turns them away."""

import numpy as np

from neuroscan.network.bundle import Bundle
from neuroscan.settings import SHIPPED_BUNDLE
from training.not_mri import all_pictures, not_mri
from training.observe import run


def test_the_same_seed_makes_the_same_varied_pictures() -> None:
    first, again, other = not_mri(1, each=3), not_mri(1, each=3), not_mri(2, each=3)
    pictures = list(all_pictures(first))
    assert len(pictures) == 3 * len(first)
    assert all(picture.shape == (256, 256) for picture in pictures)
    assert all(picture.dtype == np.uint8 for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    for left, right in zip(pictures, all_pictures(again), strict=True):
        assert np.array_equal(left, right)
    assert not np.array_equal(first["noise"][0], other["noise"][0])


def test_the_shipped_input_check_turns_most_of_them_away() -> None:
    bundle = Bundle.read(SHIPPED_BUNDLE)
    description, spec = bundle.description, bundle.description.input_check
    # Another seed than the one that the bundle's own figure was made with.
    _, features = run(
        bundle.load_model(),
        description.preprocessing,
        spec.layers,
        all_pictures(not_mri(seed=11, each=4)),
    )
    accepted = (bundle.load_input_check().score(features) <= spec.threshold).float().mean()
    assert float(accepted) <= 0.05
