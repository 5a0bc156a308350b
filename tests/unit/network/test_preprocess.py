"""Preprocessing against OpenCV and torch, and what must hold for any slice."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neuroscan.network.preprocess import AREA, BILINEAR, Preprocessing, preprocess, resize_square

AREA_SPEC = Preprocessing(128, AREA, (0.449,) * 3, (0.226,) * 3)
SHAPES = st.tuples(st.integers(1, 300), st.integers(1, 300))


def noise(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    generator = np.random.default_rng(height * 1000 + width)
    return generator.integers(0, 256, size=(height, width), dtype=np.uint8)


def test_defaults_are_the_papers() -> None:
    tensor = preprocess(np.full((224, 224), 255, dtype=np.uint8), Preprocessing())
    assert tensor.shape == (1, 3, 224, 224)
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    assert tensor[0, :, 100, 100].tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(256, 256), (512, 512), (200, 131), (300, 128), (129, 777)])
def test_area_reduction_equals_opencvs(shape: tuple[int, int]) -> None:
    pixels = noise(*shape)
    ours = resize_square(torch.from_numpy(pixels).float(), AREA_SPEC).numpy()
    theirs = cv2.resize(pixels.astype(np.float32), (128, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(ours - theirs).max() < 0.01


@pytest.mark.parametrize("shape", [(256, 256), (500, 301), (100, 224), (64, 50)])
def test_bilinear_equals_torchs_antialiased(shape: tuple[int, int]) -> None:
    image = torch.from_numpy(noise(*shape)).float()
    ours = resize_square(image, Preprocessing(resize=BILINEAR))
    theirs = torch.nn.functional.interpolate(
        image[None, None], size=(224, 224), mode="bilinear", antialias=True
    )[0, 0]
    assert (ours - theirs).abs().max() < 0.01


@given(SHAPES.flatmap(lambda shape: hnp.arrays(np.uint8, shape)), st.sampled_from([AREA, BILINEAR]))
def test_no_value_leaves_the_slices_range(
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], resize: str
) -> None:
    resized = resize_square(
        torch.from_numpy(pixels).float(), Preprocessing(input_size=32, resize=resize)
    )
    assert resized.min() >= pixels.min() - 1e-3
    assert resized.max() <= pixels.max() + 1e-3


@given(SHAPES, st.integers(0, 255))
def test_a_flat_slice_stays_flat(shape: tuple[int, int], value: int) -> None:
    tensor = preprocess(np.full(shape, value, dtype=np.uint8), AREA_SPEC)
    expected = (value / 255 - 0.449) / 0.226
    assert torch.allclose(tensor, torch.full((1, 3, 128, 128), expected), atol=1e-5)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 3), dtype=np.uint8),
        np.zeros((4, 4), dtype=np.float32),
        np.zeros((0, 4), dtype=np.uint8),
    ],
)
def test_what_is_no_slice_is_refused(
    pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> None:
    with pytest.raises(ValueError, match="uint8"):
        preprocess(pixels, AREA_SPEC)


@pytest.mark.parametrize(
    "field",
    [{"resize": "cubic"}, {"input_size": 8}, {"grayscale": False}, {"std": (0.0, 1.0, 1.0)}],
)
def test_a_senseless_specification_is_refused(field: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(field)).split("_")[0]):
        Preprocessing(**field)  # type: ignore[arg-type]  # wrong on purpose
