"""JPEG and PNG: gray levels, orientation, frames, geometry."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from neuroscan.contracts.enums import (
    DisplayConvention,
    ImageFormat,
    OrientationSource,
    PatientAxis,
    SpacingSource,
)
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.problems import FrameOutOfRange, FrameRequired, InvalidRequest
from neuroscan.imaging.decode import decode
from tests.unit.imaging.files import animated_png, encode, gradient, jpeg_with_exif


def test_gray_png_keeps_every_value() -> None:
    pixels = gradient()
    decoded = decode(encode(pixels, "PNG"))
    assert decoded.format is ImageFormat.PNG
    assert (decoded.width, decoded.height) == (64, 48)
    assert decoded.slice.pixels.dtype == np.uint8
    np.testing.assert_array_equal(decoded.slice.pixels, pixels)


def test_slice_png_is_the_slice_and_thumbnail_is_small() -> None:
    decoded = decode(encode(gradient(300, 600), "PNG"))
    with Image.open(io.BytesIO(decoded.slice_png)) as picture:
        np.testing.assert_array_equal(np.asarray(picture), decoded.slice.pixels)
    with Image.open(io.BytesIO(decoded.thumbnail_webp)) as picture:
        assert (picture.format, picture.size) == ("WEBP", (192, 96))


def test_sha256_is_of_the_bytes_as_sent() -> None:
    content = jpeg_with_exif(gradient(), 1)
    assert decode(content).sha256 == hashlib.sha256(content).hexdigest()


def test_color_becomes_luma() -> None:
    colors = np.zeros((32, 32, 3), dtype=np.uint8)
    colors[..., 1] = 200
    assert set(np.unique(decode(encode(colors, "PNG")).slice.pixels)) == {117}


def test_transparent_pixels_lie_over_black() -> None:
    colors = np.full((32, 32, 4), 255, dtype=np.uint8)
    colors[:16, :, 3] = 0
    pixels = decode(encode(colors, "PNG")).slice.pixels
    assert (pixels[:16] == 0).all()
    assert (pixels[16:] == 255).all()


def test_palette_is_looked_up() -> None:
    picture = Image.fromarray((gradient() // 86).astype(np.uint8), mode=None).convert("P")
    picture.putpalette([10, 10, 10, 90, 90, 90, 250, 250, 250])
    target = io.BytesIO()
    picture.save(target, "PNG")
    assert set(np.unique(decode(target.getvalue()).slice.pixels)) <= {10, 90, 250}


def test_one_bit_png_is_black_and_white() -> None:
    bits = gradient() > 100
    pixels = decode(encode(bits, "PNG")).slice.pixels
    np.testing.assert_array_equal(pixels, np.where(bits, 255, 0))


def test_16_bit_png_uses_the_range_that_the_picture_has() -> None:
    deep = (gradient().astype(np.uint16) * 16).astype(np.uint16)
    pixels = decode(encode(deep, "PNG")).slice.pixels
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert np.corrcoef(pixels.ravel(), deep.ravel())[0, 1] > 0.999


def test_cmyk_jpeg_becomes_gray() -> None:
    target = io.BytesIO()
    Image.fromarray(gradient()).convert("RGB").convert("CMYK").save(target, "JPEG", quality=95)
    pixels = decode(target.getvalue()).slice.pixels
    assert np.abs(pixels.astype(int) - gradient()).max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_before_sizes_are_taken(orientation: int) -> None:
    stored = gradient()
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].T,
        8: np.rot90(stored),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    png = decode(encode(stored, "PNG", exif=exif))
    np.testing.assert_array_equal(png.slice.pixels, upright)
    jpeg = decode(jpeg_with_exif(stored, orientation))
    assert (jpeg.height, jpeg.width) == upright.shape
    assert np.abs(jpeg.slice.pixels.astype(int) - upright).max() < 8


def test_animation_needs_a_frame() -> None:
    content = animated_png(3)
    with pytest.raises(FrameRequired):
        decode(content)
    with pytest.raises(FrameOutOfRange):
        decode(content, frame=3)
    with pytest.raises(FrameOutOfRange):
        decode(content, frame=-1)
    assert [int(decode(content, frame=n).slice.pixels.max()) for n in range(3)] == [0, 40, 80]


def test_still_picture_has_frame_zero_only() -> None:
    content = encode(gradient(), "PNG")
    assert decode(content, frame=0).width == 64
    with pytest.raises(FrameOutOfRange):
        decode(content, frame=1)


def test_multi_picture_jpeg_counts_as_its_primary_picture() -> None:
    target = io.BytesIO()
    first, second = Image.fromarray(gradient()), Image.new("L", (64, 48), 255)
    first.save(target, "MPO", save_all=True, append_images=[second], quality=95)
    decoded = decode(target.getvalue())
    assert decoded.format is ImageFormat.JPEG
    assert np.abs(decoded.slice.pixels.astype(int) - gradient()).max() < 8


def test_resolution_of_a_picture_file_is_not_the_patients() -> None:
    for kind in ("PNG", "JPEG"):
        assert decode(encode(gradient(), kind, dpi=(300, 300))).slice.geometry == Geometry()


def test_declared_spacing_and_convention_are_taken() -> None:
    geometry = decode(
        encode(gradient(), "PNG"),
        spacing_mm=(0.5, 0.6),
        convention=DisplayConvention.RADIOLOGICAL,
    ).slice.geometry
    assert (geometry.row_mm, geometry.column_mm) == (0.5, 0.6)
    assert geometry.source is SpacingSource.REQUEST
    assert geometry.plane is None
    assert geometry.orientation.image_right is PatientAxis.LEFT
    assert geometry.orientation.image_bottom is None
    assert geometry.orientation.source is OrientationSource.DECLARED


@pytest.mark.parametrize("spacing_mm", [(0.0, 1.0), (1.0, -1.0), (1.0, 21.0), (float("nan"), 1.0)])
def test_spacing_outside_its_bounds_is_refused(spacing_mm: tuple[float, float]) -> None:
    with pytest.raises(InvalidRequest):
        decode(encode(gradient(), "PNG"), spacing_mm=spacing_mm)
