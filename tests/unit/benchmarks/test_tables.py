"""Figures from held regions with known answers, and what the section says of them."""

import pytest

from benchmarks.agreement import Held
from benchmarks.bland_altman import limits
from benchmarks.slices import MAP, SEGMENTATION, Seen
from benchmarks.spatial_section import TARGETS, Spatial, spatial_section, verdict
from benchmarks.tables import Paired, paired, part_figures, source_figures
from neuroscan.network.bundle import Bundle
from neuroscan.settings import SHIPPED_BUNDLE
from training.settings import settings_of


def held(dice: float, longest: tuple[float, float], *, right: bool = True) -> Held:
    return Held(
        peak_inside=dice > 0.5,
        dice=dice,
        centroid_mm=10 * (1 - dice),
        area=(100.0, 100 * longest[1] / longest[0]),
        longest=longest,
        range_holds=dice > 0.5,
        side_right=right,
    )


def seen(number: int, one: Held | None, *, lateralized: bool = True) -> Seen:
    return Seen(
        label=("glioma", "pituitary")[number % 2],
        group=f"g{number}",
        plane=("axial", "coronal", None)[number % 3],
        area_mm2=100.0 * (number + 1),
        answer="glioma",
        lateralized=lateralized,
        held={MAP: one, SEGMENTATION: one},
    )


SLICES = [
    seen(0, held(0.9, (20, 22))),
    seen(1, held(0.8, (20, 18))),
    seen(2, held(0.7, (20, 20), right=False)),
    seen(3, None),
    seen(4, held(0.2, (20, 40)), lateralized=False),
]


def test_a_slice_without_a_region_is_a_miss_and_has_no_error() -> None:
    found = source_figures(SEGMENTATION, SLICES, seed=0)
    assert (found.slices, found.without_region, found.lateralized) == (5, 1, 4)
    assert found.peak_inside.value == pytest.approx(0.6)
    assert found.dice.value == 0.7
    assert found.mean_dice == pytest.approx((0.9 + 0.8 + 0.7 + 0 + 0.2) / 5)
    assert found.side_right is not None
    assert found.side_right.value == 0.5
    assert found.longest_percent is not None
    # Of +10, -10, 0 and +100 %.
    assert found.longest_percent.median.value == pytest.approx(10)
    assert found.longest_percent.bias == pytest.approx(25)
    assert found.range_holds is not None
    assert found.range_holds.value == 0.75


def test_parts_are_classes_planes_and_thirds_of_the_area() -> None:
    parts = part_figures([MAP], SLICES)
    counts = {(one.by, one.name): one.slices for one in parts}
    assert counts["class", "glioma"] == 3
    assert counts["plane", "axial"] == 2
    assert counts["plane", "not known"] == 1
    assert sum(count for (by, _), count in counts.items() if by == "size") == 5


def test_bland_altman_limits_lie_about_the_bias() -> None:
    pair = Paired((10.0, 20.0, 30.0), (11.0, 19.0, 33.0))
    low, bias, high = limits(pair)
    assert bias == pytest.approx(1.0)
    assert high - bias == pytest.approx(bias - low)
    assert high - bias == pytest.approx(1.96 * (8 / 3) ** 0.5)
    assert paired(MAP, SLICES, lambda one: one.longest).annotated == (20, 20, 20, 20)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.98, "reached"), (0.95, "at the least"), (0.5, "**missed**")]
)
def test_a_target_is_reached_at_the_least_or_missed(value: float, expected: str) -> None:
    assert verdict(value, TARGETS[0]) == expected


def test_for_an_error_smaller_is_better() -> None:
    centroid = next(target for target in TARGETS if "centroid" in target.name)
    words = [verdict(value, centroid) for value in (1.9, 2.5, 3.5)]
    assert words == ["reached", "at the least", "**missed**"]


def test_the_section_shows_targets_sources_and_parts() -> None:
    sources = tuple(source_figures(name, SLICES, seed=0) for name in (MAP, SEGMENTATION))
    text = spatial_section(
        Spatial(
            notice="", bundle="b", version="1", software="1", part="p", sha256="0",
            segmenter_sha256="1", settings=settings_of(Bundle.read(SHIPPED_BUNDLE).description),
            seed=0, phantoms=(), end_to_end=(), sources=sources,
            parts=tuple(part_figures([MAP], SLICES)), healthy=3, silent=sources[0].peak_inside,
        )
    )  # fmt: skip
    assert "| segmentation | median Dice | 0.850 | 0.800 | 0.700" in text
    assert "empty on 3 test slices without a tumor" in text
    assert "| slices without a region | 1 | 1 |" in text


def test_a_source_without_any_region_has_no_errors() -> None:
    found = source_figures(MAP, [seen(0, None), seen(1, None)], seed=0)
    assert (found.without_region, found.dice.value, found.peak_inside.value) == (2, 0, 0)
    assert (found.centroid_mm, found.longest_percent, found.range_holds) == (None, None, None)
