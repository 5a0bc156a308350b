"""What decoding an upload yields. Importing this loads no decoder."""

from dataclasses import dataclass, field
from datetime import datetime

from neuroscan.contracts.enums import ImageFormat
from neuroscan.imaging.slice import Slice


@dataclass(frozen=True, eq=False)
class Decoded:
    """A decoded upload. `width` and `height` in pixels, after EXIF orientation.

    `sha256` is over the bytes as sent. `slice_png` has the slice's pixels, `thumbnail_webp` at most
    192 on its longest side. `original` is the file without attributes, comments and metadata that
    may name a person; it decodes to the same pixels, which nobody examines for burned-in text.
    `patient_number` is DICOM's PatientID: for comparing with the chosen patient only, never to be
    stored or logged.
    """

    slice: Slice
    format: ImageFormat
    width: int
    height: int
    sha256: str
    slice_png: bytes = field(repr=False)
    thumbnail_webp: bytes = field(repr=False)
    original: bytes = field(repr=False)
    original_media_type: str
    acquired_at: datetime | None
    patient_number: str | None = field(repr=False)
    modality: str | None
