"""An upload's bytes to a slice. Every error is one of `neuroscan.contracts.problems`.

Untrusted bytes are parsed here, so the gateway calls this through `neuroscan.imaging.pool` only.
The file is first reduced to what the picture needs; that reduced file is decoded, and is what is
kept as the original. Nothing that is dropped can therefore matter to the pixels.
"""

import hashlib
import io
import warnings
from dataclasses import dataclass, replace
from datetime import datetime

from PIL import Image
from pydicom import config as pydicom_config

from neuroscan.contracts.enums import DisplayConvention, ImageFormat, SpacingSource
from neuroscan.contracts.geometry import Geometry, declared_orientation
from neuroscan.contracts.problems import (
    MAX_UPLOAD_BYTES,
    BadImage,
    DecodeLimit,
    EmptyFile,
    FileTooLarge,
    FrameOutOfRange,
    FrameRequired,
    InvalidRequest,
    NeuroscanError,
)
from neuroscan.imaging import dicom_geometry
from neuroscan.imaging.decoded import Decoded
from neuroscan.imaging.detect import detect_format
from neuroscan.imaging.dicom_dates import acquired_at
from neuroscan.imaging.dicom_file import read_dicom
from neuroscan.imaging.dicom_identity import deidentify, known_modality, to_bytes
from neuroscan.imaging.dicom_pixels import dicom_pixels, pixel_layout
from neuroscan.imaging.dicom_values import text
from neuroscan.imaging.jpeg import clean_jpeg
from neuroscan.imaging.limits import DECODER_ERRORS
from neuroscan.imaging.png import clean_png
from neuroscan.imaging.raster import raster_pixels
from neuroscan.imaging.slice import GrayPixels, Slice

__all__ = ["Decoded", "decode"]

THUMBNAIL_SIDE_PX = 192
_MEDIA_TYPES = {
    ImageFormat.JPEG: "image/jpeg",
    ImageFormat.PNG: "image/png",
    ImageFormat.DICOM: "application/dicom",
}


@dataclass(frozen=True)
class _Contents:
    pixels: GrayPixels
    geometry: Geometry
    original: bytes
    acquired_at: datetime | None = None
    patient_number: str | None = None
    modality: str | None = None


def decode(
    content: bytes,
    *,
    declared_type: str | None = None,
    file_name_suffix: str | None = None,
    frame: int | None = None,
    spacing_mm: tuple[float, float] | None = None,
    convention: DisplayConvention = DisplayConvention.UNKNOWN,
) -> Decoded:
    """Decode one JPEG, PNG or DICOM file.

    `frame` counts from 0. `spacing_mm` (row, column) and `convention` hold for the picture as shown
    (after EXIF orientation), and only where the file is silent: DICOM's own geometry wins.
    Raises `BadImage` and its kinds, and `InvalidRequest` for a spacing outside 0.01 to 20 mm.
    """
    if not content:
        raise EmptyFile
    if len(content) > MAX_UPLOAD_BYTES:
        raise FileTooLarge
    if spacing_mm is not None and not dicom_geometry.plausible_spacing(spacing_mm):
        raise InvalidRequest("The pixel spacing must be between 0.01 and 20 mm.")
    image_format = detect_format(content, declared_type, file_name_suffix)
    read = _read_dicom if image_format is ImageFormat.DICOM else _read_raster
    try:
        # Warnings and errors of the decoders may quote the file, so none of them gets out.
        with warnings.catch_warnings(), pydicom_config.disable_value_validation():
            warnings.simplefilter("ignore")
            contents = read(content, image_format, frame)
            return _package(content, image_format, _with_request(contents, spacing_mm, convention))
    except NeuroscanError:
        raise
    except MemoryError:
        raise DecodeLimit from None
    except DECODER_ERRORS:
        raise BadImage from None


def _read_raster(content: bytes, image_format: ImageFormat, frame: int | None) -> _Contents:
    clean = clean_png(content) if image_format is ImageFormat.PNG else clean_jpeg(content)
    pixels = raster_pixels(clean, image_format, _choose_frame(frame, clean.frames))
    return _Contents(pixels, Geometry(), clean.content)


def _read_dicom(content: bytes, _: ImageFormat, frame: int | None) -> _Contents:
    file = read_dicom(content)
    layout = pixel_layout(file)
    chosen = _choose_frame(frame, layout.frames)
    clean = deidentify(file, layout)
    spacing_mm = dicom_geometry.pixel_spacing_mm(clean, chosen)
    geometry = Geometry()
    if spacing_mm is not None:
        geometry = Geometry(
            row_mm=spacing_mm[0], column_mm=spacing_mm[1], source=SpacingSource.DICOM
        )
    placement = dicom_geometry.placement(clean, chosen)
    if placement is not None:
        geometry = geometry.model_copy(
            update={
                "plane": placement.plane,
                "plane_confidence": placement.confidence,
                "orientation": placement.orientation,
            }
        )
    return _Contents(
        pixels=dicom_pixels(clean, layout, chosen),
        geometry=geometry,
        original=to_bytes(clean),
        acquired_at=acquired_at(file.header),
        patient_number=text(file.header, "PatientID"),
        modality=known_modality(file.header),
    )


def _choose_frame(frame: int | None, frames: int) -> int:
    if frame is None:
        if frames > 1:
            raise FrameRequired
        return 0
    if not 0 <= frame < frames:
        raise FrameOutOfRange
    return frame


def _with_request(
    contents: _Contents, spacing_mm: tuple[float, float] | None, convention: DisplayConvention
) -> _Contents:
    geometry = contents.geometry
    if spacing_mm is not None and geometry.source is SpacingSource.UNKNOWN:
        geometry = geometry.model_copy(
            update={
                "row_mm": spacing_mm[0],
                "column_mm": spacing_mm[1],
                "source": SpacingSource.REQUEST,
            }
        )
    if geometry.plane is None:
        geometry = geometry.model_copy(
            update={"orientation": declared_orientation(convention, None)}
        )
    return replace(contents, geometry=geometry)


def _package(content: bytes, image_format: ImageFormat, contents: _Contents) -> Decoded:
    picture = Image.fromarray(contents.pixels)
    slice_png = io.BytesIO()
    picture.save(slice_png, "PNG", compress_level=3)
    return Decoded(
        slice=Slice(contents.pixels, contents.geometry),
        format=image_format,
        width=picture.width,
        height=picture.height,
        sha256=hashlib.sha256(content).hexdigest(),
        slice_png=slice_png.getvalue(),
        thumbnail_webp=thumbnail(picture),
        original=contents.original,
        original_media_type=_MEDIA_TYPES[image_format],
        acquired_at=contents.acquired_at,
        patient_number=contents.patient_number,
        modality=contents.modality,
    )


def thumbnail(picture: Image.Image) -> bytes:
    """The picture as a WebP file whose longest side is `THUMBNAIL_SIDE_PX` at most."""
    small = picture.copy()
    small.thumbnail((THUMBNAIL_SIDE_PX, THUMBNAIL_SIDE_PX))
    content = io.BytesIO()
    small.save(content, "WEBP", quality=80)
    return content.getvalue()
