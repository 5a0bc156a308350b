"""Files for these tests, made on the spot: DICOM objects, PNG chunks, EXIF, animations."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, RLELossless, generate_uid

NAME = "Mustermann"

Array = npt.NDArray[Any]


def gradient(height: int = 48, width: int = 64, dtype: type = np.uint8) -> Array:
    """Rising from the top left to the bottom right, over the whole of 0 to 255."""
    across = np.linspace(0, 1, width)[None, :]
    down = np.linspace(0, 1, height)[:, None]
    return ((across + 2 * down) * 85).astype(dtype)


def encode(pixels: Array, kind: str, **options: object) -> bytes:
    """A picture file through Pillow."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, kind, **options)
    return target.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunks(png: bytes, *chunks: bytes) -> bytes:
    """The PNG with chunks put right behind its header."""
    return png[:33] + b"".join(chunks) + png[33:]


def animated_png(frames: int) -> bytes:
    """An APNG whose frame n is n · 40 bright."""
    pictures = [Image.new("L", (40, 32), 40 * index) for index in range(frames)]
    target = io.BytesIO()
    pictures[0].save(target, "PNG", save_all=True, append_images=pictures[1:])
    return target.getvalue()


def jpeg_with_exif(pixels: Array, orientation: int) -> bytes:
    """A JPEG with an orientation, and a name in EXIF and in a comment."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x013B] = NAME
    return encode(pixels, "JPEG", exif=exif, comment=NAME.encode(), quality=95)


def dicom(
    pixels: Array | None,
    *,
    syntax: UID = ExplicitVRLittleEndian,
    **attributes: object,
) -> Dataset:
    """A DICOM object with a patient, whose attributes can be set by keyword (None leaves out)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "MR"
    dataset.PatientName = f"{NAME}^Erika"
    dataset.PatientID = "MRN-1"
    if pixels is not None:
        _describe(dataset, pixels)
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def _describe(dataset: Dataset, pixels: Array) -> None:
    colored = pixels.ndim == 3 and pixels.shape[-1] == 3
    plane = pixels.shape[-3:-1] if colored else pixels.shape[-2:]
    dataset.Rows, dataset.Columns = plane
    dataset.SamplesPerPixel = 3 if colored else 1
    dataset.PhotometricInterpretation = "RGB" if colored else "MONOCHROME2"
    if colored:
        dataset.PlanarConfiguration = 0
    if pixels.ndim == 3 and not colored:
        dataset.NumberOfFrames = len(pixels)
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    value = pixels.tobytes()
    dataset.PixelData = value + b"\x00" * (len(value) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"


def to_file(dataset: Dataset) -> bytes:
    """The object as a file."""
    target = io.BytesIO()
    with disable_value_validation():
        dcmwrite(target, dataset, enforce_file_format=True)
    return target.getvalue()


def rle(pixels: Array) -> bytes:
    """A DICOM file with run-length encoded pixels."""
    dataset = dicom(pixels)
    dataset.compress(RLELossless)
    return to_file(dataset)


def enhanced() -> Dataset:
    """An enhanced object of two frames: axial, then coronal, with spacing that is shared."""
    dataset = dicom(np.stack([gradient(), gradient()[::-1]]))
    measures = Dataset()
    measures.PixelSpacing = [0.5, 0.75]
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    per_frame = []
    for cosines in ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1]):
        place = Dataset()
        place.ImageOrientationPatient = cosines
        group = Dataset()
        group.PlaneOrientationSequence = [place]
        per_frame.append(group)
    dataset.PerFrameFunctionalGroupsSequence = per_frame
    return dataset


def compress(content: bytes, syntax: str, folder: Path) -> bytes:
    """The DICOM file under another transfer syntax, by GDCM's own encoder."""
    source, target = str(folder / "source.dcm"), str(folder / "target.dcm")
    Path(source).write_bytes(content)
    reader = gdcm.ImageReader()
    reader.SetFileName(source)
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(target)
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return Path(target).read_bytes()
