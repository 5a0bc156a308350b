"""The truth of a phantom against its own mask and pixels."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from neuroscan.phantoms import (
    Appearance,
    LesionSpec,
    Lobe,
    Phantom,
    PhantomSpec,
    Sequence,
    Side,
    default_specs,
    make_phantom,
)


def lesion(side: Side, lobe: Lobe, longest_mm: float, angle_deg: float) -> LesionSpec:
    return LesionSpec(side, lobe, longest_mm, 0.8 * longest_mm, angle_deg)


CASES = [
    PhantomSpec("a", 0, lesion(Side.LEFT, Lobe.FRONTAL, 30, 0), rotation_deg=8),
    PhantomSpec("b", 1, lesion(Side.RIGHT, Lobe.FRONTAL, 12, 45), rotation_deg=-8),
    PhantomSpec("c", 2, lesion(Side.LEFT, Lobe.PARIETAL, 36, 90), pixel_spacing_mm=0.9),
    PhantomSpec("d", 3, lesion(Side.RIGHT, Lobe.TEMPORAL, 24, 135), sequence=Sequence.T1),
    PhantomSpec("e", 4, lesion(Side.LEFT, Lobe.OCCIPITAL, 18, 60), head_scale=1.0),
    PhantomSpec("f", 5, lesion(Side.RIGHT, Lobe.OCCIPITAL, 20, 10), midline_shift_mm=10),
]


def feret_px(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Largest distance between pixel centers, and the extent across it, by brute force."""
    points = np.argwhere(mask).astype(float)
    edge = points[
        [mask[int(r) - 1 : int(r) + 2, int(c) - 1 : int(c) + 2].sum() < 9 for r, c in points]
    ]
    distances = np.hypot(*(edge[:, None] - edge[None]).transpose(2, 0, 1))
    a, b = np.unravel_index(int(distances.argmax()), distances.shape)
    across = np.array([[0, -1], [1, 0]]) @ (edge[b] - edge[a]) / distances[a, b]
    return float(distances[a, b]), float(np.ptp(edge @ across))


@pytest.mark.parametrize("spec", CASES, ids=lambda spec: spec.name)
def test_diameters_area_and_place_agree_with_the_mask(spec: PhantomSpec) -> None:
    phantom = make_phantom(spec)
    truth, spacing = phantom.truth.lesion, spec.pixel_spacing_mm
    assert truth is not None
    assert spec.lesion is not None
    longest, across = feret_px(phantom.lesion_mask)
    # From center to center a run of n pixels is n - 1 long.
    assert abs((longest + 0.5) * spacing - truth.longest_mm) <= spacing
    assert abs((across + 0.5) * spacing - truth.perpendicular_mm) <= spacing
    assert truth.longest_mm == pytest.approx(spec.lesion.longest_mm)
    assert truth.area_px == phantom.lesion_mask.sum()
    assert truth.area_mm2 == pytest.approx(truth.area_px * spacing**2, abs=0.01)
    ellipse = np.pi / 4 * truth.longest_mm * truth.perpendicular_mm
    assert truth.area_mm2 == pytest.approx(ellipse, rel=0.10)
    x0, y0, x1, y1 = truth.bbox_px
    assert phantom.lesion_mask[y0:y1, x0:x1].sum() == truth.area_px
    assert phantom.lesion_mask[y0].any()
    assert phantom.lesion_mask[:, x1 - 1].any()
    assert x0 <= truth.centroid_px[0] <= x1
    assert y0 <= truth.centroid_px[1] <= y1


@pytest.mark.parametrize("spec", CASES, ids=lambda spec: spec.name)
def test_side_follows_radiological_display(spec: PhantomSpec) -> None:
    phantom = make_phantom(spec)
    assert phantom.truth.lesion is not None
    head_middle = np.nonzero(phantom.brain_mask)[1].mean()
    on_picture_left = phantom.truth.lesion.centroid_px[0] < head_middle
    assert on_picture_left == (phantom.truth.lesion.side is Side.RIGHT)
    assert phantom.truth.display_convention == "radiological"


def test_lobes_lie_in_order_from_front_to_back() -> None:
    rows = {}
    for lobe in Lobe:
        phantom = make_phantom(PhantomSpec(lobe, 3, LesionSpec(Side.LEFT, lobe, 15, 12)))
        assert phantom.truth.lesion is not None
        rows[lobe] = phantom.truth.lesion.centroid_px[1]
    assert rows[Lobe.FRONTAL] < rows[Lobe.TEMPORAL] < rows[Lobe.PARIETAL] < rows[Lobe.OCCIPITAL]


@pytest.mark.parametrize("appearance", list(Appearance))
@pytest.mark.parametrize("sequence", list(Sequence))
def test_lesion_stands_out_from_the_brain_as_it_should(
    appearance: Appearance, sequence: Sequence
) -> None:
    drawn = LesionSpec(Side.LEFT, Lobe.FRONTAL, 30, 26, appearance=appearance)
    spec = PhantomSpec("x", 5, drawn, sequence=sequence, bias=0.0)
    bare = make_phantom(PhantomSpec("x", 5, level_mm=spec.z_mm, sequence=sequence, bias=0.0))
    phantom = make_phantom(spec)
    inside = phantom.pixels[phantom.lesion_mask].astype(float)
    before = bare.pixels[phantom.lesion_mask].astype(float)
    if appearance is Appearance.DARK:
        assert inside.mean() < 0.8 * before.mean()
    elif appearance is Appearance.BRIGHT:
        assert inside.mean() > 1.2 * before.mean()
    else:
        assert np.percentile(inside, 90) > 1.1 * np.percentile(before, 90)
        assert np.percentile(inside, 10) < before.mean()


def test_only_the_lesion_and_its_edge_differ_from_the_healthy_slice() -> None:
    drawn = LesionSpec(Side.LEFT, Lobe.FRONTAL, 30, 26, appearance=Appearance.DARK)
    ill = make_phantom(PhantomSpec("x", 5, drawn, noise=0.0))
    well = make_phantom(PhantomSpec("x", 5, level_mm=20, noise=0.0))
    rows, columns = np.nonzero(ill.lesion_mask)
    changed = np.abs(ill.pixels.astype(int) - well.pixels.astype(int)) > 3
    near = np.zeros_like(changed)
    near[rows.min() - 5 : rows.max() + 6, columns.min() - 5 : columns.max() + 6] = True
    assert changed[ill.lesion_mask].mean() > 0.9
    assert not changed[~near].any()


def test_healthy_phantom_has_no_lesion() -> None:
    healthy = [make_phantom(spec) for spec in default_specs() if spec.lesion is None]
    assert len(healthy) == 2
    for phantom in healthy:
        assert phantom.truth.lesion is None
        assert phantom.truth.midline_shift_mm == 0
        assert not phantom.lesion_mask.any()


def test_same_specification_gives_the_same_phantom_and_another_seed_another() -> None:
    spec = CASES[0]
    first, second = make_phantom(spec), make_phantom(spec)
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.lesion_mask, second.lesion_mask)
    assert first.truth == second.truth
    other = make_phantom(PhantomSpec("other", spec.seed + 1, spec.lesion))
    assert not np.array_equal(first.pixels, other.pixels)


def test_noise_moves_neither_mask_nor_head() -> None:
    quiet = make_phantom(PhantomSpec("x", 4, CASES[0].lesion, noise=0.0))
    loud = make_phantom(PhantomSpec("x", 4, CASES[0].lesion, noise=0.08))
    assert np.array_equal(quiet.lesion_mask, loud.lesion_mask)
    assert np.array_equal(quiet.brain_mask, loud.brain_mask)
    corner = np.s_[:20, :20]
    assert loud.pixels[corner].std() > 4 * max(float(quiet.pixels[corner].std()), 0.5)


def head_extent_mm(phantom: Phantom) -> tuple[float, float]:
    """Breadth and length of everything brighter than air."""
    bright = phantom.pixels > 60
    spacing = phantom.truth.pixel_spacing_mm
    return float(np.ptp(np.nonzero(bright.any(axis=0))[0])) * spacing, float(
        np.ptp(np.nonzero(bright.any(axis=1))[0])
    ) * spacing


@pytest.mark.parametrize("seed", range(5))
def test_head_has_an_adult_size(seed: int) -> None:
    breadth, length = head_extent_mm(make_phantom(PhantomSpec("x", seed, level_mm=10)))
    assert 140 <= breadth <= 165
    assert 175 <= length <= 205


@settings(max_examples=25, deadline=None)
@given(
    side=st.sampled_from(list(Side)),
    lobe=st.sampled_from(list(Lobe)),
    longest=st.floats(8, 24),
    ratio=st.floats(0.6, 1.0),
    angle=st.floats(0, 180),
    seed=st.integers(0, 2**31),
    rotation=st.floats(-12, 12),
)
def test_any_lesion_that_fits_lies_inside_the_brain_with_a_true_size(
    side: Side, lobe: Lobe, longest: float, ratio: float, angle: float, seed: int, rotation: float
) -> None:
    drawn = LesionSpec(side, lobe, longest, max(3.0, ratio * longest), angle)
    phantom = make_phantom(PhantomSpec("x", seed, drawn, rotation_deg=rotation))
    assert phantom.truth.lesion is not None
    assert not (phantom.lesion_mask & ~phantom.brain_mask).any()
    measured, across = feret_px(phantom.lesion_mask)
    assert abs(measured + 0.5 - phantom.truth.lesion.longest_mm) <= 1.2
    # For a nearly round lesion the mask's longest diameter may lie elsewhere than the outline's.
    if ratio < 0.9:
        assert abs(across + 0.5 - phantom.truth.lesion.perpendicular_mm) <= 1.5


REFUSED: list[tuple[Callable[[], object], str]] = [
    (lambda: LesionSpec(Side.LEFT, Lobe.FRONTAL, 20, 25), "perpendicular"),
    (lambda: PhantomSpec("x", level_mm=90), "level"),
    (lambda: PhantomSpec("x", size_px=128), "225 mm"),
    (lambda: PhantomSpec("x", midline_shift_mm=5), "shift_toward"),
    (lambda: PhantomSpec("x", midline_shift_mm=40, shift_toward=Side.LEFT), "15 mm"),
    (lambda: PhantomSpec("x", 1, None, 50, 5, Side.LEFT), "septum"),
    (lambda: make_phantom(PhantomSpec("x", 1, lesion(Side.LEFT, Lobe.OCCIPITAL, 70, 0))), "fit"),
    (
        lambda: make_phantom(
            PhantomSpec("x", 1, LesionSpec(Side.LEFT, Lobe.FRONTAL, center_mm=(-5, 20, 20)))
        ),
        "crosses the midline",
    ),
]


@pytest.mark.parametrize(("make", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_cannot_be_true_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
