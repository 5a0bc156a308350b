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
from pydicom.encaps import encapsulate, generate_fragments, generate_frames

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
    # That would speak for the pixels too.
    assert "PatientIdentityRemoved" not in kept
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


def commented(codestream: bytes) -> bytes:
    """A compressed picture with the name in a comment, in application segments and behind it."""
    text = NAME.encode()
    if codestream.startswith(b"\xff\x4f"):
        comment = b"\xff\x64" + (len(text) + 4).to_bytes(2) + b"\x00\x01" + text
        at = codestream.index(b"\xff\x90")
        # In the main header and in the first tile-part's, which grows by it.
        length = int.from_bytes(codestream[at + 6 : at + 10])
        tile = codestream[at : at + 6] + (length + len(comment)).to_bytes(4)
        rest = codestream[at + 10 :]
        return codestream[:at] + comment + tile + rest[:2] + comment + rest[2:] + text
    if b"\xff\xf7" in codestream[:200]:
        # The decoder of JPEG-LS reads comments and nothing else.
        segment = b"\xff\xfe" + (len(text) + 2).to_bytes(2) + text
        return codestream[:2] + segment + codestream[2:]
    segments = [(0xFE, text), (0xE1, b"Exif\x00\x00" + text), (0xE5, text), (0xFE, b"")]
    added = b"".join(
        bytes((0xFF, kind)) + (len(payload) + 2).to_bytes(2) + payload for kind, payload in segments
    )
    return codestream[:2] + added + codestream[2:] + text


@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize(
    "syntax",
    ["JPEGBaselineProcess1", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless"],
)
def test_a_name_inside_a_compressed_frame_is_blanked(
    syntax: str, fragments: int, tmp_path: Path
) -> None:
    dataset = dcmread(io.BytesIO(compress(to_file(dicom(gradient())), syntax, tmp_path)))
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    dataset.PixelData = encapsulate([commented(frame)], fragments_per_frame=fragments)
    content = to_file(dataset)
    decoded = decode(content)
    assert NAME.encode() in b"".join(generate_fragments(dataset.PixelData))
    kept = dcmread(io.BytesIO(decoded.original))
    assert NAME.encode() not in b"".join(generate_fragments(kept.PixelData))
    assert len(kept.PixelData) == len(dataset.PixelData)
    again = decode(decoded.original)
    np.testing.assert_array_equal(again.slice.pixels, decoded.slice.pixels)


def test_no_code_string_but_a_defined_term_stays() -> None:
    dataset = dicom(gradient())
    dataset.ImageType = ["DERIVED", "SECONDARY", "DOE JANE"]
    dataset.ScanOptions = ["FS", "DOE JANE"]
    dataset.Modality = "DOE"
    dataset.BurnedInAnnotation = "YES"
    kept = dcmread(io.BytesIO(decode(to_file(dataset)).original))
    assert (list(kept.ImageType), kept.ScanOptions) == (["DERIVED", "SECONDARY"], "FS")
    assert kept.BurnedInAnnotation == "YES"
    assert "Modality" not in kept


@pytest.mark.parametrize(
    "modality", ["OP", "ES", "RTIMAGE", "PX", "IO", "SM", "OPT", "VA", "IVUS", "MR", "SC", "OT"]
)
def test_what_kind_of_picture_it_is_is_known(modality: str) -> None:
    dataset = dicom(gradient())
    dataset.Modality = modality
    decoded = decode(to_file(dataset))
    assert decoded.modality == modality
    assert dcmread(io.BytesIO(decoded.original)).Modality == modality


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
