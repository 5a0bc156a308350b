"""What bad input gets: each case its own problem, and never another exception."""

import struct
import zlib

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from neuroscan.contracts import problems
from neuroscan.imaging.decode import decode
from neuroscan.imaging.stored import read_slice_png
from tests.unit.imaging.files import (
    dicom,
    encode,
    gradient,
    png_chunk,
    rle,
    to_file,
    with_chunks,
)

NOISE = np.random.default_rng(5).integers(0, 256, (48, 64), dtype=np.uint8)
PNG = encode(NOISE, "PNG")
JPEG = encode(gradient(), "JPEG")
PROGRESSIVE = encode(gradient(), "JPEG", progressive=True)
DICOM = to_file(dicom(gradient(dtype=np.uint16)))


RLE = rle(gradient(dtype=np.uint16))


def test_empty_file() -> None:
    with pytest.raises(problems.EmptyFile):
        decode(b"")


@pytest.mark.parametrize(
    "content", [b"hello", b"GIF89a" + bytes(200), b"%PDF-1.7" + bytes(300), bytes(500), b"BM" * 99]
)
def test_what_is_no_picture(content: bytes) -> None:
    with pytest.raises(problems.NotAnImage):
        decode(content)


@pytest.mark.parametrize(
    ("content", "claim"),
    [
        (JPEG, {"declared_type": "image/png"}),
        (JPEG, {"file_name_suffix": ".PNG"}),
        (PNG, {"declared_type": "image/jpeg; q=1"}),
        (PNG, {"file_name_suffix": "dcm"}),
        (PNG, {"declared_type": "image/gif"}),
        (PNG, {"declared_type": "text/plain"}),
        (DICOM, {"declared_type": "application/octet-stream", "file_name_suffix": ".jpg"}),
    ],
)
def test_content_that_is_not_what_it_is_called(content: bytes, claim: dict[str, str]) -> None:
    with pytest.raises(problems.FormatMismatch):
        decode(
            content,
            declared_type=claim.get("declared_type"),
            file_name_suffix=claim.get("file_name_suffix"),
        )


@pytest.mark.parametrize("declared_type", [None, "", "application/octet-stream", "IMAGE/PNG"])
@pytest.mark.parametrize("suffix", [None, "", ".png", ".bin", ".1207"])
def test_unknown_names_leave_it_to_the_magic(declared_type: str | None, suffix: str | None) -> None:
    assert decode(PNG, declared_type=declared_type, file_name_suffix=suffix).width == 64


def test_more_than_32_mib() -> None:
    with pytest.raises(problems.FileTooLarge):
        decode(PNG + bytes(problems.MAX_UPLOAD_BYTES))


@pytest.mark.parametrize("content", [PNG, JPEG, PROGRESSIVE, DICOM, RLE])
def test_every_shorter_file_is_refused(content: bytes) -> None:
    refused = (problems.TruncatedImage, problems.NotAnImage, problems.DicomWithoutPixels)
    for length in {*range(1, min(len(content), 400)), *range(400, len(content), 97)}:
        with pytest.raises(refused):
            decode(content[:length])


@pytest.mark.parametrize("content", [PNG, JPEG, PROGRESSIVE, DICOM, RLE])
@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 0.99])
def test_truncated_in_the_picture_says_so(content: bytes, share: float) -> None:
    with pytest.raises(problems.TruncatedImage):
        decode(content[: int(len(content) * share)])


def test_png_whose_data_stops_short_inside_intact_chunks() -> None:
    header = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(65 * 20))
    content = PNG[:8] + b"".join(
        png_chunk(kind, data) for kind, data in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    )
    with pytest.raises(problems.TruncatedImage):
        decode(content)


def test_dicom_pixel_data_shorter_than_rows_and_columns() -> None:
    with pytest.raises(problems.TruncatedImage, match="rows and columns"):
        decode(to_file(dicom(gradient(), Rows=96)))


def test_interlaced_png_is_read() -> None:
    # Adam7 by hand, since Pillow does not write it: every pass holds rows of one gray.
    passes = ((8, 8), (8, 8), (16, 8), (16, 16), (32, 16), (32, 32), (64, 32))
    rows = b"".join((b"\x00" + bytes([90]) * columns) * count for columns, count in passes)
    header = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 1)

    def file(data: bytes) -> bytes:
        body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(data))
        return PNG[:8] + body + png_chunk(b"IEND", b"")

    assert (decode(file(rows)).slice.pixels == 90).all()
    with pytest.raises(problems.TruncatedImage):
        decode(file(rows[:-1]))


def _huge_png() -> bytes:
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)
    return PNG[:8] + png_chunk(b"IHDR", header) + PNG[33:]


def _sized_jpeg(width: int, height: int) -> bytes:
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]


@pytest.mark.parametrize(
    "content",
    [
        _huge_png(),
        _sized_jpeg(60_000, 60_000),
        to_file(dicom(gradient(), Rows=60_000, Columns=60_000)),
    ],
)
def test_more_than_32_megapixels_by_the_header(content: bytes) -> None:
    with pytest.raises(problems.ImageTooLarge):
        decode(content)


@pytest.mark.parametrize(
    "content",
    [
        encode(gradient(32, 8193), "PNG"),
        encode(gradient(8193, 32), "JPEG"),
        to_file(dicom(gradient(32, 8193))),
    ],
)
def test_more_than_8192_pixels_on_a_side(content: bytes) -> None:
    with pytest.raises(problems.ImageTooLarge):
        decode(content)


def test_8192_pixels_on_a_side_are_read() -> None:
    assert decode(encode(gradient(32, 8192), "PNG")).width == 8192


def test_a_stored_slice_has_the_same_bounds() -> None:
    with pytest.raises(problems.ImageTooLarge):
        read_slice_png(encode(gradient(32, 8193), "PNG"))
    assert read_slice_png(encode(gradient(32, 8192), "PNG")).shape == (32, 8192)


@pytest.mark.parametrize(
    "content",
    [
        encode(gradient(31, 64), "PNG"),
        encode(gradient(64, 31), "JPEG"),
        to_file(dicom(gradient(31, 64))),
        to_file(dicom(gradient(), Rows=0)),
        _sized_jpeg(0, 0),
    ],
)
def test_fewer_than_32_pixels_on_a_side(content: bytes) -> None:
    with pytest.raises(problems.ImageTooSmall):
        decode(content)


def test_deflated_dicom_bomb() -> None:
    file = to_file(dicom(gradient(), syntax=DeflatedExplicitVRLittleEndian))
    start = file.index(b"1.2.840.10008.1.2.1.99")
    dataset_at = next(at for at in range(start, len(file)) if _inflates(file[at:]))
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(300)) + deflater.flush()
    assert len(bomb) < 1 << 20
    with pytest.raises(problems.DecodeLimit):
        decode(file[:dataset_at] + bomb)


def _inflates(content: bytes) -> bool:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(content)
    except zlib.error:
        return False
    return inflater.eof and inflated.startswith(b"\x08\x00")


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP", b"iTXt"])
def test_compressed_png_metadata_is_never_inflated(kind: bytes) -> None:
    head = {b"zTXt": b"k\0\0", b"iCCP": b"p\0\0", b"iTXt": b"k\0\1\0\0\0"}[kind]
    bomb = png_chunk(kind, head + zlib.compress(bytes(200 << 20), 9))
    decoded = decode(with_chunks(PNG, bomb))
    assert decoded.original == PNG


def test_file_of_countless_tiny_parts() -> None:
    at = DICOM.index(b"\x10\x00\x10\x00PN")
    tail = bytes(4 << 20)
    comments = b"\xff\xfe\x00\x02" * (1 << 20)
    for content in (DICOM[:at] + tail, DICOM + tail, JPEG[:2] + comments):
        with pytest.raises(problems.DecodeLimit):
            decode(content)


def test_dicom_without_pixel_data() -> None:
    with pytest.raises(problems.DicomWithoutPixels):
        decode(to_file(dicom(None)))
    with pytest.raises(problems.DicomWithoutPixels):
        decode(to_file(dicom(None, Rows=64, Columns=64)))


@pytest.mark.parametrize("syntax", [str(MPEG4HP41), "1.2.3.4.5", "no uid"])
def test_transfer_syntax_that_is_not_decoded(syntax: str) -> None:
    file = to_file(dicom(gradient()))
    old, new = ExplicitVRLittleEndian.encode(), syntax.encode()
    length = len(old) + len(old) % 2
    start = file.index(b"\x02\x00\x10\x00UI")
    new += b"\x00" * (len(new) % 2)
    renamed = struct.pack("<H", len(new)) + new
    with pytest.raises(problems.UnsupportedTransferSyntax):
        decode(file[: start + 6] + renamed + file[start + 8 + length :])


def test_multi_frame_dicom_needs_a_frame() -> None:
    frames = np.stack([gradient(), gradient()[::-1]])
    content = to_file(dicom(frames))
    with pytest.raises(problems.FrameRequired):
        decode(content)
    for frame in (-1, 2, 10**9):
        with pytest.raises(problems.FrameOutOfRange):
            decode(content, frame=frame)
    first, second = (decode(content, frame=frame).slice.pixels for frame in (0, 1))
    np.testing.assert_array_equal(first, second[::-1])


def _deeply_nested_file() -> bytes:
    # Written by hand: pydicom's own writer gives up at such depth.
    start = b"\x40\x00\x75\x02SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    file = to_file(dicom(gradient()))
    at = file.index(b"\x10\x00\x10\x00PN")
    return file[:at] + start * 100_000 + file[at:]


@pytest.mark.parametrize(
    "content",
    [
        to_file(dicom(gradient(), RescaleSlope=float("nan"), RescaleIntercept=0)),
        to_file(dicom(gradient(), RescaleSlope=float("inf"), RescaleIntercept=0)),
        to_file(dicom(gradient(), SamplesPerPixel=4)),
        to_file(dicom(gradient(), BitsAllocated=12)),
        to_file(dicom(gradient(), Rows=None)),
        to_file(dicom(gradient(), PhotometricInterpretation="PALETTE COLOR")),
        _deeply_nested_file(),
        DICOM.replace(b"\x28\x00\x10\x00US", b"\x28\x00\x10\x00ZZ"),
        JPEG[:2] + b"\xff\xe0\x00\x01" + JPEG[2:],
        with_chunks(PNG, png_chunk(b"PLTE", b"x")[:-1] + b"?"),
        PNG[:8] + PNG[33:],
    ],
)
def test_hostile_content_is_a_bad_image(content: bytes) -> None:
    with pytest.raises(problems.BadImage):
        decode(content)


@pytest.mark.parametrize("spacing", [[0.0, 0.0], [-1.0, 1.0], [500.0, 500.0], [1.0], [1.0] * 3])
def test_implausible_dicom_spacing_is_ignored(spacing: list[float]) -> None:
    geometry = decode(to_file(dicom(gradient(), PixelSpacing=spacing))).slice.geometry
    assert geometry.row_mm is None


def test_compressed_frame_of_another_size_than_its_header() -> None:
    dataset = dicom(gradient(), syntax=JPEGBaseline8Bit)
    dataset.PixelData = encapsulate([encode(gradient(500, 500), "JPEG")])
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(problems.BadImage, match="another size"):
        decode(to_file(dataset))


def test_errors_hold_nothing_of_the_file() -> None:
    content = to_file(dicom(gradient(), SamplesPerPixel=4, PatientName="Secret^Name"))
    with pytest.raises(problems.BadImage) as caught:
        decode(content)
    assert "Secret" not in str(caught.value)
    assert caught.value.__cause__ is None
