"""The pictures."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from neuroscan.contracts.results import Regions
from services.explain.overlay import (
    MAP_RGB,
    SEGMENTATION_RGB,
    heatmap,
    outline_thickness_px,
    overlay,
    png,
)
from services.explain.region import find_region, region_of
from tests.pictures import head


def spot_map() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    raw = np.full((16, 16), -1, dtype=np.float32)
    raw[4:8, 9:12] = 3
    return raw


def test_the_heat_map_is_transparent_where_there_is_no_evidence() -> None:
    picture = heatmap(spot_map(), (120, 160))
    assert picture.shape == (120, 160, 4)
    assert picture[100, 20, 3] == 0
    assert picture[45, 105, 3] == 255
    # Inferno's hottest color is a light yellow: much red and green, less blue.
    red, green, blue = picture[45, 105, :3].astype(int)
    assert red > 240
    assert green > 240
    assert blue < green


def test_without_evidence_the_heat_map_is_empty_and_the_overlay_is_the_slice() -> None:
    nothing = np.full((8, 8), -1, dtype=np.float32)
    pixels = head(seed=2)[:180, :160]
    assert not heatmap(nothing, (180, 160))[..., 3].any()
    assert np.array_equal(
        overlay(pixels, nothing, Regions()), np.repeat(pixels[..., None], 3, axis=2)
    )


def test_the_overlay_outlines_the_region_in_yellow_and_leaves_the_rest() -> None:
    pixels = head(seed=2)[:180, :160]
    found = find_region(spot_map(), (180, 160), 0.5)
    assert found is not None
    picture = overlay(pixels, spot_map(), Regions(map=found.region))
    yellow = np.all(picture == MAP_RGB, axis=2)
    assert yellow.any()
    x, y = found.region.contour[0]
    assert yellow[y, x]
    assert np.array_equal(picture[150:, :40, 0], pixels[150:, :40])


def test_the_segmentation_has_a_dashed_outline_in_another_color() -> None:
    pixels = head(seed=2)[:180, :160]
    mask = np.zeros((180, 160), np.bool_)
    mask[40:140, 30:110] = True
    region = region_of(mask)
    picture = overlay(pixels, spot_map(), Regions(segmentation=region))
    assert not np.all(picture == MAP_RGB, axis=2).any()
    teal = np.all(picture == SEGMENTATION_RGB, axis=2)
    edge = teal[40, 30:110]
    changes = int(np.abs(np.diff(edge.astype(int))).sum())
    # Five pixels on and four off along the 80 pixels of the upper edge.
    assert 10 <= changes <= 24
    assert 0.4 < edge.mean() < 0.8


def test_both_outlines_stand_in_one_picture() -> None:
    pixels = head(seed=2)[:180, :160]
    found = find_region(spot_map(), (180, 160), 0.5)
    assert found is not None
    mask = np.zeros((180, 160), np.bool_)
    mask[100:150, 30:80] = True
    picture = overlay(pixels, spot_map(), Regions(map=found.region, segmentation=region_of(mask)))
    for color in (MAP_RGB, SEGMENTATION_RGB):
        assert np.all(picture == color, axis=2).any()


def test_a_region_of_a_few_pixels_is_outlined_too() -> None:
    mask = np.zeros((180, 160), np.bool_)
    mask[50:52, 50:52] = True
    picture = overlay(head(seed=2)[:180, :160], spot_map(), Regions(segmentation=region_of(mask)))
    assert np.all(picture == SEGMENTATION_RGB, axis=2).any()


def test_weak_and_strong_maps_look_alike() -> None:
    assert np.array_equal(heatmap(spot_map(), (64, 64)), heatmap(spot_map() * 100, (64, 64)))


@pytest.mark.parametrize(("side_px", "expected_px"), [(64, 1), (256, 1), (512, 3), (2048, 10)])
def test_the_outline_grows_with_the_slice(side_px: int, expected_px: int) -> None:
    assert outline_thickness_px(side_px) == expected_px


def test_pictures_open_as_png_of_their_size() -> None:
    with Image.open(io.BytesIO(png(head(seed=2)[:40, :30]))) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (30, 40))
    with Image.open(io.BytesIO(png(heatmap(spot_map(), (40, 30))))) as image:
        assert image.mode == "RGBA"


def test_a_large_picture_is_made_in_bands_that_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.tile(head(seed=2)[:180, :160], (4, 5))
    in_bands = overlay(pixels, spot_map(), Regions()), heatmap(spot_map(), pixels.shape)
    monkeypatch.setattr("services.explain.overlay._BAND_PX", 160 * 5 * 7)
    assert np.array_equal(overlay(pixels, spot_map(), Regions()), in_bands[0])
    monkeypatch.setattr("services.explain.overlay._BAND_PX", pixels.size)
    at_once = overlay(pixels, spot_map(), Regions()), heatmap(spot_map(), pixels.shape)
    assert all(np.array_equal(*pair) for pair in zip(in_bands, at_once, strict=True))


def test_the_memory_for_an_overlay_stays_near_that_of_its_picture() -> None:
    """At 32 megapixels another 30 bytes a pixel are a gigabyte."""
    pixels = np.tile(head(seed=2)[:160, :160], (12, 12))
    tracemalloc.start()
    try:
        overlay(pixels, spot_map(), Regions())
        heatmap(spot_map(), pixels.shape)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The map at the slice's size has 4 bytes a pixel, the pictures 3 and 4.
    assert peak < 10 * pixels.size
