"""The plane classifier: what it is sure of, what mirroring may not change, how it is fitted."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from neuroscan.contracts.enums import Plane
from neuroscan.phantoms import PhantomSpec, make_phantom
from services.spatial.head import Gray, Mask, head_mask, working_raster
from services.spatial.plane import find_plane
from services.spatial.plane_features import FEATURES, plane_features
from services.spatial.plane_model import WEIGHTS, PlaneModel
from training.data import plane_label
from training.plane import Examples, best_temperature, fit


def head_of(pixels: Gray) -> tuple[Gray, Mask]:
    raster = working_raster(pixels)
    head = head_mask(raster.pixels)
    assert head is not None
    return raster.pixels, head


@pytest.fixture(scope="module")
def slice_() -> Gray:
    return make_phantom(PhantomSpec(name="healthy", seed=3, rotation_deg=4)).pixels


def test_an_axial_phantom_is_axial_and_not_at_the_base(slice_: Gray) -> None:
    found = find_plane(*head_of(slice_))
    assert found.plane is Plane.AXIAL
    assert found.confidence > 0.8
    assert found.at_base < 0.5


def test_mirroring_changes_neither_plane_nor_confidence(slice_: Gray) -> None:
    pixels, head = head_of(slice_)
    here = find_plane(pixels, head)
    there = find_plane(np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(head[:, ::-1]))
    assert here.plane is there.plane
    assert here.confidence == pytest.approx(there.confidence, abs=1e-6)
    assert here.faces_left == pytest.approx(1 - there.faces_left, abs=1e-6)


def test_features_ignore_place_brightness_and_empty_margins(slice_: Gray) -> None:
    pixels, head = head_of(slice_)
    moved = np.roll(pixels, (6, -9), axis=(0, 1))
    moved_head = np.roll(head, (6, -9), axis=(0, 1))
    here = plane_features(pixels, head)
    assert here.shape == (FEATURES,)
    assert np.allclose(here, plane_features(moved, moved_head), atol=1e-5)
    dim = (pixels * 0.5).astype(np.uint8)
    assert np.corrcoef(here, plane_features(dim, head))[0, 1] > 0.99


def test_the_weights_are_small_and_no_pickle() -> None:
    assert WEIGHTS.stat().st_size < 200_000
    assert PlaneModel.load().weights.shape == (FEATURES, 3)


def test_weights_survive_saving(tmp_path: Path) -> None:
    model = PlaneModel.load()
    model.save(tmp_path / "plane.npz")
    again = PlaneModel.load(tmp_path / "plane.npz")
    features = np.random.default_rng(0).normal(size=(5, FEATURES)).astype(np.float32)
    assert np.allclose(model.probabilities(features), again.probabilities(features))
    assert np.allclose(model.faces_left(features), again.faces_left(features))


def test_fitting_learns_what_tells_the_planes_apart() -> None:
    model = fit(examples(seed=0), examples(seed=1))
    unseen = examples(seed=2)
    right = model.probabilities(unseen.features).argmax(axis=1) == unseen.planes
    assert right.mean() > 0.95
    sagittal = unseen.facing != 0
    left = model.faces_left(unseen.features[sagittal]) > 0.5
    assert (left == (unseen.facing[sagittal] > 0)).mean() > 0.95


def test_an_overconfident_model_is_cooled() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 4000)
    # Logits three times too large for how often they are right.
    logits = rng.normal(size=(4000, 3))
    logits[np.arange(4000), labels] += 1.5
    assert best_temperature(3 * 1.5 * logits, labels) == pytest.approx(3.0, rel=0.15)


@pytest.mark.parametrize(
    ("row", "plane"),
    [
        ({"plane": "coronal", "source": "figshare", "path": "a.webp"}, "coronal"),
        ({"plane": "", "source": "brisc", "path": "healthy/x_no_sa_t1.webp"}, "sagittal"),
        ({"plane": "", "source": "nickparvar", "path": "published/x_no_sa_t1.webp"}, None),
        ({"plane": "", "source": "brisc", "path": "healthy/x.webp"}, None),
    ],
)
def test_planes_come_from_the_manifest_or_the_file_name(
    row: dict[str, str], plane: str | None
) -> None:
    assert plane_label(row) == plane


def examples(seed: int) -> Examples:
    """Drawn vectors: each plane has a direction of its own, so have facing and the base."""
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(5, 40))
    planes = np.arange(300) % 3
    facing = np.where(planes == 2, np.where(rng.random(300) < 0.5, 1, -1), 0)
    pituitary = (planes == 0) & (rng.random(300) < 0.4)
    features: NDArray[np.float64] = rng.normal(size=(300, 40)) + directions[planes]
    features += facing[:, None] * directions[3] + pituitary[:, None] * directions[4]
    return Examples(
        features.astype(np.float32),
        planes,
        facing,
        np.array([str(index) for index in range(300)]),
        pituitary,
    )


def test_the_crop_keeps_the_aspect_ratio() -> None:
    tall = np.zeros((200, 200), np.uint8)
    cv2.ellipse(tall, (100, 100), (40, 80), 0, 0, 360, 200, -1)
    wide = np.ascontiguousarray(tall.T)
    assert not np.allclose(
        plane_features(tall, tall > 0), plane_features(wide, wide > 0), atol=0.05
    )
