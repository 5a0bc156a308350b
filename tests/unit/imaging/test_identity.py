"""What is kept as the original names no one and decodes to the same pixels."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from neuroscan.imaging.decode import decode
from tests.unit.imaging.files import (
    NAME,
    animated_png,
    compress,
    dicom,
    encode,
    enhanced,
    gradient,
    jpeg_with_exif,
    png_chunk,
    rle,
    to_file,
    with_chunks,
)


def _png_with_text() -> bytes:
    text = PngInfo()
    text.add_text("Author", NAME)
    text.add_itxt("Comment", NAME, zip=True)
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, NAME
    content = encode(gradient(), "PNG", pnginfo=text, exif=exif)
    extra = (png_chunk(b"prVt", NAME.encode()), png_chunk(b"tIME", bytes(7)))
    return with_chunks(content, *extra) + NAME.encode()


def _jpeg_with_everything() -> bytes:
    content = jpeg_with_exif(gradient(), 6)
    segments = b""
    for marker in (0xE1, 0xE2, 0xE5, 0xED, 0xEF):
        payload = b"ICC_PROFILE\x00\x01\x01" + NAME.encode()
        segments += bytes((0xFF, marker, 0, len(payload) + 2)) + payload
    return content[:2] + segments + content[2:] + NAME.encode()


def _named_dicom() -> Dataset:
    dataset = dicom(gradient(dtype=np.uint16))
    dataset.PatientBirthDate = "19700102"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20240301"
    dataset.ReferringPhysicianName = dataset.OperatorsName = NAME
    dataset.InstitutionName = dataset.StationName = NAME
    dataset.StudyDescription = dataset.SeriesDescription = dataset.ImageComments = NAME
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = "1.2.840.113619.2.55.42"
    dataset.EchoTime, dataset.ScanningSequence, dataset.SliceThickness = 12.5, "SE", 6
    # A name where a code belongs does not pass either.
    with disable_value_validation():
        dataset.ScanOptions = NAME
    dataset.add_new(0x00091001, "LO", NAME)
    dataset.add_new(0x60003000, "OW", NAME.encode().ljust(12))
    inner = Dataset()
    inner.PatientName = NAME
    dataset.ReferencedPatientSequence = [inner]
    return dataset


CASES = {
    "png": _png_with_text(),
    "jpeg": _jpeg_with_everything(),
    "dicom": to_file(_named_dicom()),
    "rle": rle(gradient(dtype=np.uint16)),
}


@pytest.mark.parametrize("case", CASES)
def test_name_is_gone_and_pixels_stay(case: str) -> None:
    content = CASES[case]
    assert NAME.encode() in content
    decoded = decode(content)
    assert NAME.encode() not in decoded.original
    again = decode(decoded.original, declared_type=decoded.original_media_type)
    np.testing.assert_array_equal(again.slice.pixels, decoded.slice.pixels)
    assert again.slice.geometry == decoded.slice.geometry


def test_dicom_keeps_what_is_listed_and_nothing_else() -> None:
    decoded = decode(CASES["dicom"])
    assert decoded.patient_number == "MRN-1"
    kept = dcmread(io.BytesIO(decoded.original))
    assert (kept.EchoTime, kept.ScanningSequence, kept.SliceThickness) == (12.5, "SE", 6)
    assert kept.PatientIdentityRemoved == "YES"
    sent = dcmread(io.BytesIO(CASES["dicom"]))
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        assert kept[keyword].value != sent[keyword].value
    assert kept.SOPClassUID == sent.SOPClassUID
    gone = ("PatientID", "PatientBirthDate", "StudyDate", "StationName", "ScanOptions")
    assert not any(keyword in kept for keyword in gone)
    assert all(
        element.VR not in ("DA", "DT", "TM", "PN", "LO", "LT", "ST", "UT")
        for element in kept.iterall()
        if element.keyword != "DeidentificationMethod"
    )
    assert not any(element.tag.is_private or element.tag.group == 0x6000 for element in kept)


def test_compressed_pixel_data_stays_byte_for_byte(tmp_path: Path) -> None:
    content = compress(CASES["dicom"], "JPEGLSLossless", tmp_path)
    sent, kept = (dcmread(io.BytesIO(file)) for file in (content, decode(content).original))
    assert kept.PixelData == sent.PixelData
    assert kept.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID


def test_bytes_behind_the_native_pixels_are_dropped() -> None:
    dataset = dicom(gradient())
    dataset.PixelData += NAME.encode()
    assert NAME.encode() not in decode(to_file(dataset)).original


@pytest.mark.parametrize(
    "content", [animated_png(3), to_file(enhanced())], ids=["animation", "enhanced"]
)
def test_every_frame_survives(content: bytes) -> None:
    for frame in (0, 1):
        decoded = decode(content, frame=frame)
        again = decode(decoded.original, frame=frame)
        np.testing.assert_array_equal(again.slice.pixels, decoded.slice.pixels)


def test_jpeg_keeps_its_color_transform() -> None:
    # Without the Adobe marker this file would be taken for YCbCr.
    colors = np.dstack([gradient(), gradient()[::-1], gradient()[:, ::-1]])
    content = encode(colors, "JPEG", keep_rgb=True, quality=95)
    assert b"Adobe" in content
    decoded = decode(content)
    with Image.open(io.BytesIO(content)) as picture:
        np.testing.assert_array_equal(decoded.slice.pixels, np.asarray(picture.convert("L")))
