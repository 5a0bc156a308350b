"""What the first bytes say a file is, and whether that is what the sender called it."""

from neuroscan.contracts.enums import ImageFormat
from neuroscan.contracts.problems import (
    BadImage,
    FormatMismatch,
    NotAnImage,
    TruncatedImage,
)

JPEG_MAGIC = b"\xff\xd8\xff"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
DICOM_MAGIC = b"DICM"
DICOM_PREAMBLE_BYTES = 128

_FORMAT_OF_TYPE = {
    "image/jpeg": ImageFormat.JPEG,
    "image/jpg": ImageFormat.JPEG,
    "image/pjpeg": ImageFormat.JPEG,
    "image/png": ImageFormat.PNG,
    "image/x-png": ImageFormat.PNG,
    "image/apng": ImageFormat.PNG,
    "application/dicom": ImageFormat.DICOM,
    "application/x-dicom": ImageFormat.DICOM,
    "image/dicom": ImageFormat.DICOM,
    "image/x-dicom": ImageFormat.DICOM,
}
_FORMAT_OF_SUFFIX = {
    "jpg": ImageFormat.JPEG,
    "jpeg": ImageFormat.JPEG,
    "jpe": ImageFormat.JPEG,
    "jfif": ImageFormat.JPEG,
    "png": ImageFormat.PNG,
    "apng": ImageFormat.PNG,
    "dcm": ImageFormat.DICOM,
    "dicom": ImageFormat.DICOM,
}


def detect_format(
    content: bytes, declared_type: str | None, file_name_suffix: str | None
) -> ImageFormat:
    """The format by magic bytes.

    Raises `NotAnImage`, `TruncatedImage` when only a piece of the magic is there, and
    `FormatMismatch` when the declared media type or the file name's suffix names another format.
    An unknown suffix and an unlisted application/… type (octet-stream) say nothing.
    """
    media_type = (declared_type or "").split(";")[0].strip().lower()
    by_type = _FORMAT_OF_TYPE.get(media_type)
    by_suffix = _FORMAT_OF_SUFFIX.get((file_name_suffix or "").strip().lower().removeprefix("."))
    found = _by_magic(content)
    if found is None:
        raise _unrecognized(content, ImageFormat.DICOM in (by_type, by_suffix))
    says_otherwise = by_type is None and not media_type.startswith("application/")
    if media_type and says_otherwise:
        raise FormatMismatch
    if any(claimed is not None and claimed is not found for claimed in (by_type, by_suffix)):
        raise FormatMismatch
    return found


def _by_magic(content: bytes) -> ImageFormat | None:
    if content.startswith(JPEG_MAGIC):
        return ImageFormat.JPEG
    if content.startswith(PNG_MAGIC):
        return ImageFormat.PNG
    if content[DICOM_PREAMBLE_BYTES : DICOM_PREAMBLE_BYTES + 4] == DICOM_MAGIC:
        return ImageFormat.DICOM
    return ImageFormat.DICOM if _looks_like_bare_dicom(content) else None


def _looks_like_bare_dicom(content: bytes) -> bool:
    # Some older writers leave out the preamble and begin with the first element of group 2 or 8:
    # tag, then an explicit VR, or a length that fits into the file (implicit VR).
    group, element = content[0:2], int.from_bytes(content[2:4], "little")
    if group not in (b"\x02\x00", b"\x08\x00") or element > 0x0070 or len(content) < 16:
        return False
    vr = content[4:6]
    if vr.isalpha() and vr.isupper():
        return True
    return group == b"\x08\x00" and int.from_bytes(content[4:8], "little") < len(content) - 8


def _unrecognized(content: bytes, called_dicom: bool) -> BadImage:
    if any(magic.startswith(content) for magic in (JPEG_MAGIC, PNG_MAGIC)):
        return TruncatedImage()
    if called_dicom and len(content) < DICOM_PREAMBLE_BYTES + len(DICOM_MAGIC):
        return TruncatedImage()
    return NotAnImage()
