"""The pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from services.explain.overlay import (
    OUTLINE_RGB,
    heatmap,
    outline_thickness_px,
    overlay,
    png,
)
from services.explain.region import find_region
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
    assert np.array_equal(overlay(pixels, nothing, None), np.repeat(pixels[..., None], 3, axis=2))


def test_the_overlay_outlines_the_region_in_yellow_and_leaves_the_rest() -> None:
    pixels = head(seed=2)[:180, :160]
    found = find_region(spot_map(), (180, 160), 0.5)
    assert found is not None
    picture = overlay(pixels, spot_map(), found.region)
    yellow = np.all(picture == OUTLINE_RGB, axis=2)
    assert yellow.any()
    x, y = found.region.contour[0]
    assert yellow[y, x]
    assert np.array_equal(picture[150:, :40, 0], pixels[150:, :40])


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
