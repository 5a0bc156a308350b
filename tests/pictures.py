"""Small pictures for tests, made here: a head-like slice as PNG, JPEG or DICOM bytes."""

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

Pixels = npt.NDArray[np.uint8]


def head(size: int = 192, seed: int = 0) -> Pixels:
    """(size, size) uint8: an ellipse with a skull, a bright blob and noise."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    radius = np.hypot(x / 0.72, y / 0.9)
    pixels = np.where(radius < 1, 200.0, 0.0)
    pixels[radius < 0.92] = 25
    pixels[radius < 0.85] = 110
    blob = np.hypot(x - random.uniform(-0.3, 0.3), y - random.uniform(-0.4, 0.4)) < 0.16
    pixels[blob & (radius < 0.85)] = 215
    pixels += random.normal(0, 6, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def png(pixels: Pixels | None = None, **options: object) -> bytes:
    """PNG bytes."""
    return _saved(Image.fromarray(head() if pixels is None else pixels), "PNG", **options)


def jpeg(pixels: Pixels | None = None) -> bytes:
    """JPEG bytes."""
    return _saved(Image.fromarray(head() if pixels is None else pixels), "JPEG", quality=90)


def animated_png() -> bytes:
    """A PNG of two frames."""
    frames = [Image.fromarray(head(seed=seed)) for seed in (1, 2)]
    out = io.BytesIO()
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    return out.getvalue()


def giant_png_header(side: int = 8000) -> bytes:
    """A valid PNG header that announces far too many pixels, and a tiny body."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


def dicom(
    pixels: Pixels | None = None,
    *,
    patient_number: str | None = None,
    patient_name: str = "Test^Person",
    frames: int = 1,
    modality: str = "MR",
    with_pixels: bool = True,
    transfer_syntax: UID = ExplicitVRLittleEndian,
) -> bytes:
    """DICOM bytes: axial, 0.5 mm, radiological."""
    pixels = head() if pixels is None else pixels
    data = Dataset()
    data.SOPClassUID = MRImageStorage
    data.SOPInstanceUID = generate_uid()
    data.Modality = modality
    data.PatientName = patient_name
    data.PatientID = patient_number or ""
    data.PixelSpacing = [0.5, 0.5]
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.ImagePositionPatient = [0, 0, 0]
    if with_pixels:
        data.Rows, data.Columns = pixels.shape
        data.SamplesPerPixel = 1
        data.PhotometricInterpretation = "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 8
        data.HighBit = 7
        data.PixelRepresentation = 0
        if frames > 1:
            data.NumberOfFrames = frames
        data.PixelData = pixels.tobytes() * frames
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = transfer_syntax
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()


def deflated_bomb() -> bytes:
    """A deflated DICOM whose few kilobytes inflate to more than any slice has."""
    whole = dicom(transfer_syntax=DeflatedExplicitVRLittleEndian)
    # Keep preamble and meta group (its length stands in its first element), replace the body.
    meta_end = 144 + int.from_bytes(whole[140:144], "little")
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = b"\0" * (1 << 20)
    element = b"\x09\x00\x10\x10OB\0\0" + (600 << 20).to_bytes(4, "little")
    body = squeeze.compress(element) + b"".join(squeeze.compress(block) for _ in range(600))
    return whole[:meta_end] + body + squeeze.flush()


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()
