"""DICOM: pixels of every kind, geometry, dates."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from neuroscan.contracts.enums import (
    DisplayConvention,
    ImageFormat,
    OrientationSource,
    PatientAxis,
    Plane,
    SpacingSource,
)
from neuroscan.imaging.decode import decode
from neuroscan.imaging.intensity import window_to_uint8
from tests.unit.imaging.files import (
    Array,
    compress,
    dicom,
    encode,
    enhanced,
    gradient,
    rle,
    to_file,
)

DEEP = (gradient(48, 64, np.uint16) * 16).astype(np.uint16)


def pixels_of(content: bytes) -> Array:
    return decode(content).slice.pixels


def test_16_bit_pixels_are_windowed_at_the_percentiles() -> None:
    noise = np.random.default_rng(1).normal(1000, 100, (64, 64))
    noise[0, 0], noise[0, 1] = 0, 60000
    values = noise.astype(np.uint16)
    pixels = pixels_of(to_file(dicom(values)))
    low, high = np.percentile(values, (0.5, 99.5))
    assert (pixels[values <= low] == 0).all()
    assert (pixels[values >= high] == 255).all()
    middle = (values > low) & (values < high)
    expected = (values[middle] - low) / (high - low) * 255
    assert np.abs(pixels[middle] - expected).max() <= 0.51


def test_signed_pixels_keep_their_order() -> None:
    signed = (gradient(48, 64, np.int16) * 8 - 1000).astype(np.int16)
    np.testing.assert_array_equal(pixels_of(to_file(dicom(signed))), window_to_uint8(signed))


def test_negative_slope_turns_the_picture_over() -> None:
    turned = pixels_of(to_file(dicom(DEEP, RescaleSlope=-2, RescaleIntercept=100)))
    np.testing.assert_allclose(turned, 255.0 - pixels_of(to_file(dicom(DEEP))), atol=1)


def test_monochrome1_is_inverted() -> None:
    inverted = pixels_of(to_file(dicom(DEEP, PhotometricInterpretation="MONOCHROME1")))
    np.testing.assert_array_equal(inverted, 255 - pixels_of(to_file(dicom(DEEP))))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32])
def test_constant_picture_is_black(dtype: type) -> None:
    assert not pixels_of(to_file(dicom(np.full((40, 40), 77, dtype=dtype)))).any()


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("attributes", [(-32768, None), (-32000, -32768)])
def test_padding_is_black_and_stretches_no_window(
    attributes: tuple[int, int | None], kind: str
) -> None:
    plain = gradient(dtype=np.int16) + np.int16(100)
    padded = plain.copy()
    padded[:, :16] = -32768
    value, limit = attributes
    told = {"PixelPaddingValue": value, "PixelPaddingRangeLimit": limit}
    dataset = dicom(padded, PhotometricInterpretation=kind)
    for name, number in told.items():
        if number is not None:
            dataset.add_new(name, "SS", number)
    found = decode(to_file(dataset))
    assert not found.slice.pixels[:, :16].any()
    # As if the darkest of the picture's own values stood there.
    filled = np.where(padded == -32768, plain[:, 16:].min(), plain)
    expected = pixels_of(to_file(dicom(filled, PhotometricInterpretation=kind)))
    np.testing.assert_array_equal(found.slice.pixels[:, 16:], expected[:, 16:])
    np.testing.assert_array_equal(decode(found.original).slice.pixels, found.slice.pixels)


def test_padding_that_is_the_background_leaves_the_window_as_it_is() -> None:
    pixels = gradient(dtype=np.int16) * np.int16(4) + np.int16(500)
    pixels[:, :16] = 0
    dataset = dicom(pixels)
    dataset.add_new("PixelPaddingValue", "SS", 0)
    np.testing.assert_array_equal(pixels_of(to_file(dataset)), pixels_of(to_file(dicom(pixels))))


def test_float_pixels_with_gaps() -> None:
    values = gradient(48, 64, np.float32)
    dataset = dicom(values.astype(np.uint8), BitsAllocated=32)
    del dataset.PixelData
    values[0, 0] = np.nan
    dataset.FloatPixelData = values.tobytes()
    pixels = pixels_of(to_file(dataset))
    assert (pixels.min(), pixels.max(), pixels[0, 0]) == (0, 255, 0)


def test_one_bit_pixels() -> None:
    bits = gradient() > 120
    dataset = dicom(gradient(), BitsAllocated=1, BitsStored=1, HighBit=0)
    dataset.PixelData = np.packbits(bits.ravel(), bitorder="little").tobytes()
    np.testing.assert_array_equal(pixels_of(to_file(dataset)), np.where(bits, 255, 0))


def test_rgb_becomes_luma() -> None:
    colors = np.zeros((48, 64, 3), dtype=np.uint8)
    colors[..., 1] = gradient()
    green = pixels_of(to_file(dicom(colors)))
    np.testing.assert_allclose(green, window_to_uint8(gradient()), atol=1)


def test_ybr_becomes_luma() -> None:
    colors = np.full((48, 64, 3), 128, dtype=np.uint8)
    colors[..., 0] = gradient()
    pixels = pixels_of(to_file(dicom(colors, PhotometricInterpretation="YBR_FULL")))
    np.testing.assert_allclose(pixels, window_to_uint8(gradient()), atol=2)


@pytest.mark.parametrize("implicit", [False, True])
def test_palette_is_looked_up(implicit: bool) -> None:
    dataset = dicom(gradient(), PhotometricInterpretation="PALETTE COLOR")
    if implicit:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    # A palette that turns the gray levels over.
    table = (np.arange(255, -1, -1, dtype="<u2") * 257).tobytes()
    for color in ("Red", "Green", "Blue"):
        setattr(dataset, f"{color}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(dataset, f"{color}PaletteColorLookupTableData", table)
    content = to_file(dataset)
    np.testing.assert_allclose(pixels_of(content), window_to_uint8(255 - gradient()), atol=1)
    np.testing.assert_array_equal(pixels_of(decode(content).original), pixels_of(content))


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_native_transfer_syntaxes_give_the_same_pixels(syntax: UID) -> None:
    plain = pixels_of(to_file(dicom(DEEP)))
    dataset = dicom(DEEP)
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = DEEP.astype(">u2").tobytes()
    np.testing.assert_array_equal(pixels_of(to_file(dataset)), plain)


@pytest.mark.parametrize(
    "syntax",
    [
        "JPEG2000Lossless",
        "JPEG2000",
        "JPEGLSLossless",
        "JPEGLSNearLossless",
        "JPEGLosslessProcess14",
        "JPEGLosslessProcess14_1",
        "RLELossless",
    ],
)
def test_compressed_pixels_are_those_of_the_plain_file(syntax: str, tmp_path: Path) -> None:
    plain = to_file(dicom(DEEP, BitsStored=12, HighBit=11))
    content = compress(plain, syntax, tmp_path)
    tolerance = 2 if syntax in ("JPEG2000", "JPEGLSNearLossless") else 0
    np.testing.assert_allclose(pixels_of(content), pixels_of(plain), atol=tolerance)
    kept = decode(content).original
    np.testing.assert_array_equal(pixels_of(kept), pixels_of(content))


def test_baseline_jpeg_and_rle_frames() -> None:
    dataset = dicom(gradient(), syntax=JPEGBaseline8Bit)
    dataset.PixelData = encapsulate([encode(gradient(), "JPEG", quality=98)])
    dataset["PixelData"].is_undefined_length = True
    np.testing.assert_allclose(pixels_of(to_file(dataset)), window_to_uint8(gradient()), atol=4)
    frames = np.stack([DEEP, DEEP[::-1]])
    second = decode(rle(frames), frame=1).slice.pixels
    np.testing.assert_array_equal(second, pixels_of(to_file(dicom(DEEP)))[::-1])


def test_dicom_without_preamble_is_read() -> None:
    content = to_file(dicom(DEEP))
    bare = content[132:]
    assert decode(bare).format is ImageFormat.DICOM
    np.testing.assert_array_equal(pixels_of(bare), pixels_of(content))


@pytest.mark.parametrize(
    ("cosines", "plane", "right", "bottom"),
    [
        ([1, 0, 0, 0, 1, 0], Plane.AXIAL, PatientAxis.LEFT, PatientAxis.POSTERIOR),
        ([-1, 0, 0, 0, 1, 0], Plane.AXIAL, PatientAxis.RIGHT, PatientAxis.POSTERIOR),
        ([1, 0, 0, 0, 0, -1], Plane.CORONAL, PatientAxis.LEFT, PatientAxis.FOOT),
        ([0, 1, 0, 0, 0, -1], Plane.SAGITTAL, PatientAxis.POSTERIOR, PatientAxis.FOOT),
        ([0, -1, 0, 0, 0, 1], Plane.SAGITTAL, PatientAxis.ANTERIOR, PatientAxis.HEAD),
    ],
)
def test_plane_and_orientation(
    cosines: list[float], plane: Plane, right: PatientAxis, bottom: PatientAxis
) -> None:
    content = to_file(dicom(DEEP, ImageOrientationPatient=cosines, PixelSpacing=[0.4, 0.6]))
    geometry = decode(content, convention=DisplayConvention.NEUROLOGICAL).slice.geometry
    assert (geometry.plane, geometry.plane_confidence) == (plane, 1.0)
    assert geometry.orientation.image_right is right
    assert geometry.orientation.image_bottom is bottom
    assert geometry.orientation.source is OrientationSource.DICOM
    assert (geometry.row_mm, geometry.column_mm) == (0.4, 0.6)
    assert geometry.source is SpacingSource.DICOM


@given(tilt=st.floats(0, 44), around=st.sampled_from([0, 1]))
@settings(deadline=None, max_examples=40)
def test_oblique_slices_lose_confidence_with_their_tilt(tilt: float, around: int) -> None:
    angle = np.radians(tilt)
    across, down = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    if around:
        across = np.array([np.cos(angle), 0, np.sin(angle)])
    else:
        down = np.array([0, np.cos(angle), np.sin(angle)])
    cosines = [f"{component:.9f}" for component in (*across, *down)]
    geometry = decode(to_file(dicom(DEEP, ImageOrientationPatient=cosines))).slice.geometry
    assert geometry.plane is Plane.AXIAL
    assert geometry.plane_confidence == pytest.approx(
        1.0 if tilt <= 20 else np.cos(angle), abs=1e-6
    )
    assert geometry.orientation.image_right is PatientAxis.LEFT
    assert geometry.orientation.image_bottom is PatientAxis.POSTERIOR


@pytest.mark.parametrize("cosines", [[1, 0, 0, 1, 0, 0], [0] * 6, [1, 0, 0], [2, 0, 0, 0, 2, 0]])
def test_malformed_orientation_is_ignored(cosines: list[float]) -> None:
    content = to_file(dicom(DEEP, ImageOrientationPatient=cosines))
    geometry = decode(content, convention=DisplayConvention.RADIOLOGICAL).slice.geometry
    assert geometry.plane is None
    assert geometry.orientation.source is OrientationSource.DECLARED


def test_dicom_spacing_wins_over_the_request() -> None:
    with_spacing = to_file(dicom(DEEP, PixelSpacing=[0.4, 0.6]))
    geometry = decode(with_spacing, spacing_mm=(1.0, 1.0)).slice.geometry
    assert (geometry.row_mm, geometry.source) == (0.4, SpacingSource.DICOM)
    geometry = decode(to_file(dicom(DEEP)), spacing_mm=(1.0, 2.0)).slice.geometry
    assert (geometry.column_mm, geometry.source) == (2.0, SpacingSource.REQUEST)


def test_spacing_at_the_detector_is_not_the_patients() -> None:
    geometry = decode(to_file(dicom(DEEP, ImagerPixelSpacing=[0.1, 0.1]))).slice.geometry
    assert geometry.row_mm is None


def test_enhanced_object_has_geometry_by_frame() -> None:
    content = to_file(enhanced())
    for again in (content, decode(content, frame=0).original):
        first, second = (decode(again, frame=frame).slice.geometry for frame in (0, 1))
        assert (first.plane, second.plane) == (Plane.AXIAL, Plane.CORONAL)
        assert (second.row_mm, second.column_mm) == (0.5, 0.75)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, None),
        (
            {"AcquisitionDateTime": "20240229133015.25+0200"},
            datetime(2024, 2, 29, 11, 30, 15, 250_000, tzinfo=UTC),
        ),
        (
            {"AcquisitionDateTime": "20240229133015", "TimezoneOffsetFromUTC": "-0530"},
            datetime(2024, 2, 29, 19, 0, 15, tzinfo=UTC),
        ),
        (
            {"AcquisitionDate": "20240301", "AcquisitionTime": "0102"},
            datetime(2024, 3, 1, 1, 2, tzinfo=UTC),
        ),
        (
            {"StudyDate": "20240301", "StudyTime": "010203.5"},
            datetime(2024, 3, 1, 1, 2, 3, 500_000, tzinfo=UTC),
        ),
        ({"StudyDate": "20240301"}, datetime(2024, 3, 1, tzinfo=UTC)),
        (
            {"AcquisitionDate": "20240230", "StudyDate": "20240201"},
            datetime(2024, 2, 1, tzinfo=UTC),
        ),
        # What some archives write for a date they don't tell; no time zone may push it out.
        ({"AcquisitionDateTime": "00010101000000+0000"}, None),
        ({"AcquisitionDateTime": "99991231235959"}, None),
        (
            {"AcquisitionDate": "00010101", "StudyDate": "20240201"},
            datetime(2024, 2, 1, tzinfo=UTC),
        ),
    ],
)
def test_time_of_acquisition(attributes: dict[str, str], expected: datetime | None) -> None:
    dataset = dicom(DEEP)
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    assert decode(to_file(dataset)).acquired_at == expected


def test_another_modality_is_decoded_and_named() -> None:
    decoded = decode(to_file(dicom(DEEP, Modality="CT")))
    assert decoded.modality == "CT"
    assert decoded.patient_number == "MRN-1"
    assert "MRN-1" not in repr(decoded)
