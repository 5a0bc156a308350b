"""DICOM pixel data to gray: layout checks before decoding, then pydicom's decoders and GDCM."""

import struct
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    JPEG2000TransferSyntaxes,
    JPEGExtended12Bit,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
)

from neuroscan.contracts.problems import (
    BadImage,
    TruncatedImage,
    UnsupportedTransferSyntax,
)
from neuroscan.imaging.dicom_file import DicomFile
from neuroscan.imaging.dicom_values import code, in_group, integer, number
from neuroscan.imaging.intensity import luma, window_to_uint8
from neuroscan.imaging.jpeg import jpeg_frame_size
from neuroscan.imaging.limits import check_size
from neuroscan.imaging.slice import GrayPixels

_BITS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
_SOC_SIZ = b"\xff\x4f\xff\x51"


@dataclass(frozen=True)
class PixelLayout:
    """How the pixels lie in the pixel element; `native_bytes` is None when they are compressed."""

    rows: int
    columns: int
    samples: int
    photometric: str
    frames: int
    native_bytes: int | None


def pixel_layout(file: DicomFile) -> PixelLayout:
    """The layout by the header, checked before any pixel is decoded.

    Raises `ImageTooLarge`, `ImageTooSmall`, `TruncatedImage` when native pixel data is shorter than
    its rows and columns, `UnsupportedTransferSyntax`, `BadImage`.
    """
    header = file.header
    rows, columns = integer(header, "Rows"), integer(header, "Columns")
    if rows is None or columns is None:
        raise BadImage("The DICOM header states no rows or columns. Export the slice again.")
    check_size(columns, rows)
    samples = integer(header, "SamplesPerPixel") or 1
    bits = _BITS.get(file.pixel_keyword) or integer(header, "BitsAllocated")
    if samples not in (1, 3) or bits not in (1, 8, 16, 32, 64):
        raise BadImage("The DICOM pixel format is not one that is read. Export as grayscale.")
    # The decoder of 12-bit lossy JPEG is missing; 8-bit data under the same syntax is fine.
    if file.transfer_syntax == JPEGExtended12Bit and integer(header, "BitsStored") != 8:
        raise UnsupportedTransferSyntax
    photometric = code(header, "PhotometricInterpretation") or "MONOCHROME2"
    frames = max(integer(header, "NumberOfFrames") or 1, 1)
    native_bytes = None
    if not file.transfer_syntax.is_encapsulated:
        native_bytes = (rows * columns * samples * frames * bits + 7) // 8
        if photometric == "YBR_FULL_422":
            native_bytes = native_bytes // 3 * 2
        if len(file.pixel_value) < native_bytes:
            raise TruncatedImage(
                "The DICOM pixel data is shorter than its rows and columns. Export it again."
            )
    return PixelLayout(rows, columns, samples, photometric, frames, native_bytes)


def dicom_pixels(elements: Dataset, layout: PixelLayout, frame: int) -> GrayPixels:
    """Gray pixels uint8 (H, W) of a frame: rescaled, then windowed by `window_to_uint8`.

    Palettes and colors become luma; MONOCHROME1 is inverted, so that more is brighter. Padding is
    black, and no window is stretched to it. Raises `BadImage`, `TruncatedImage` and the decoders'
    own errors.
    """
    if layout.native_bytes is None:
        _check_codestream(elements, layout, frame)
    stored = pixel_array(elements, index=frame, raw=False)
    if layout.photometric == "PALETTE COLOR":
        stored = apply_color_lut(stored, elements)
    values = luma(stored) if stored.ndim == 3 else stored
    if values.shape != (layout.rows, layout.columns):
        raise BadImage("The DICOM pixels don't fill the stated rows and columns.")
    padding = None
    if layout.samples == 1 and layout.photometric != "PALETTE COLOR":
        padding = _padding(values, elements)
        values = _rescale(values, elements, frame)
        if padding is not None and _is_far_off(values, padding):
            values[padding] = np.nan
    pixels = window_to_uint8(values)
    if layout.photometric == "MONOCHROME1":
        pixels = np.uint8(255) - pixels
    if padding is not None:
        pixels[padding] = 0
    return pixels


def _padding(stored: npt.NDArray[np.generic], elements: Dataset) -> npt.NDArray[np.bool_] | None:
    """Where a rectangle was filled up around the picture (PS3.3, C.7.5.1.1.2), (H, W).

    None without any, and where nothing else would be left.
    """
    value = number(elements, "PixelPaddingValue")
    if value is None:
        return None
    limit = number(elements, "PixelPaddingRangeLimit")
    low, high = sorted((value, value if limit is None else limit))
    plain = stored.astype(np.float64)
    found = np.asarray((plain >= low) & (plain <= high), dtype=np.bool_)
    return found if found.any() and not found.all() else None


def _is_far_off(values: npt.NDArray[np.float32], padding: npt.NDArray[np.bool_]) -> bool:
    """Whether padding lies farther from the picture's values (H, W) than they from each other.

    If not, as where it is zero, it is the picture's background, and the window begins there.
    """
    own, filled = values[~padding], values[padding]
    low, high = float(own.min()), float(own.max())
    return bool(filled.min() < low - (high - low) or filled.max() > high + (high - low))


def _rescale(
    stored: npt.NDArray[np.generic], elements: Dataset, frame: int
) -> npt.NDArray[np.float32]:
    # PS3.3, C.11.1 and C.7.6.16.2.9: output = slope · stored + intercept.
    group = "PixelValueTransformationSequence"
    slope, intercept = (
        float((in_group(elements, frame, group, keyword) or (absent,))[0])
        for keyword, absent in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
    )
    if not (np.isfinite(slope) and np.isfinite(intercept)):
        raise BadImage("The DICOM rescale slope or intercept is no finite number.")
    with np.errstate(over="ignore", invalid="ignore"):
        return stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def _check_codestream(elements: Dataset, layout: PixelLayout, frame: int) -> None:
    # A compressed frame states its own size, and decoders believe it; so it is compared before.
    syntax = elements.file_meta.TransferSyntaxUID
    value = cast("bytes", elements.PixelData)
    stream = get_frame(value, frame, number_of_frames=layout.frames)
    size: tuple[int, int] | None = layout.columns, layout.rows
    if syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
        size = jpeg_frame_size(stream)
    elif syntax in JPEG2000TransferSyntaxes:
        size = _jpeg2000_size(stream)
    if not stream:
        raise TruncatedImage
    if size != (layout.columns, layout.rows):
        raise BadImage("The compressed DICOM frame has another size than the header states.")


def _jpeg2000_size(stream: bytes) -> tuple[int, int] | None:
    # The image area of the SIZ segment (ITU-T T.800, A.5.1), which follows the start marker.
    if not stream.startswith(_SOC_SIZ) or len(stream) < 24:
        return None
    width, height, left, top = struct.unpack_from(">4I", stream, 8)
    return width - left, height - top
