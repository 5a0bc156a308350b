"""A DICOM file (PS3.10) to its data set: preamble, meta group, transfer syntax, elements."""

import io
import itertools
import struct
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from neuroscan.contracts.problems import (
    DecodeLimit,
    DicomWithoutPixels,
    TruncatedImage,
    UnsupportedTransferSyntax,
)
from neuroscan.imaging.detect import DICOM_MAGIC, DICOM_PREAMBLE_BYTES
from neuroscan.imaging.limits import MAX_INFLATED_BYTES, MAX_PARTS

PIXEL_TAGS = {
    "PixelData": 0x7FE00010,
    "FloatPixelData": 0x7FE00008,
    "DoubleFloatPixelData": 0x7FE00009,
}
_UNDEFINED_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True)
class DicomFile:
    """The elements before the pixels (`header`), the pixel element's bytes and how it is coded."""

    header: Dataset
    transfer_syntax: UID
    pixel_keyword: str
    pixel_vr: str | None
    pixel_value: bytes


class _Source(io.BytesIO):
    # Notes when an element's header is cut off, which pydicom takes for the end of the file.
    cut = False

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        if size == 8 and 0 < len(piece) < 8:
            self.cut = True
        return piece


def read_dicom(content: bytes) -> DicomFile:
    """Parse a DICOM file, without decoding its pixels.

    Raises `UnsupportedTransferSyntax`, `DecodeLimit` when deflated content grows too large or
    there are too many elements, `TruncatedImage`, `DicomWithoutPixels`, and pydicom's own errors.
    """
    has_preamble = content[DICOM_PREAMBLE_BYTES:].startswith(DICOM_MAGIC)
    source = _Source(content)
    source.seek(DICOM_PREAMBLE_BYTES + len(DICOM_MAGIC) if has_preamble else 0)
    # The meta group is in explicit VR little endian, whatever follows.
    meta = FileMetaDataset(_read(source, ExplicitVRLittleEndian, _past_meta))
    _refuse_cut(source, meta)
    if source.tell() >= len(content):
        raise TruncatedImage
    syntax = _transfer_syntax(meta, content[source.tell() + 4 : source.tell() + 6])
    if syntax == DeflatedExplicitVRLittleEndian:
        source = _Source(_inflate(content[source.tell() :]))
    return _read_elements(source, syntax)


StopWhen = Callable[[BaseTag, str | None, int], bool]


def _past_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag >> 16 != 2


def _at(tags: Collection[int]) -> StopWhen:
    # For one read: it counts the elements that it is asked about.
    seen = itertools.count()

    def stop(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        if next(seen) > MAX_PARTS:
            raise DecodeLimit
        return tag in tags

    return stop


def _transfer_syntax(meta: FileMetaDataset, first_vr: bytes) -> UID:
    from_meta = meta.get("TransferSyntaxUID")
    if from_meta:
        syntax = UID(str(from_meta))
    else:
        explicit = first_vr.isalpha() and first_vr.isupper()
        syntax = ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        # Video, or private to a vendor.
        available = False
    if not available:
        raise UnsupportedTransferSyntax
    return syntax


def _inflate(deflated: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = inflater.decompress(deflated, MAX_INFLATED_BYTES + 1)
    if len(inflated) > MAX_INFLATED_BYTES:
        raise DecodeLimit
    if not inflater.eof:
        raise TruncatedImage
    return inflated


def _read_elements(source: _Source, syntax: UID) -> DicomFile:
    header = _read(source, syntax, _at(PIXEL_TAGS.values()))
    _refuse_cut(source, header)
    if source.tell() >= source.getbuffer().nbytes:
        raise DicomWithoutPixels
    rest = _read(source, syntax, _at(()))
    for keyword, tag in PIXEL_TAGS.items():
        if tag in rest:
            element = rest.get_item(tag)
            value = element.value
            if not isinstance(value, bytes):
                raise DicomWithoutPixels
            if _is_short(element):
                raise TruncatedImage
            return DicomFile(header, syntax, keyword, element.VR, value)
    # The pixel element begins, yet its delimiter is missing.
    raise TruncatedImage


def _read(source: _Source, syntax: UID, stop_when: StopWhen) -> Dataset:
    try:
        return read_dataset(
            source, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=stop_when
        )
    except (EOFError, OSError, struct.error):
        if source.tell() >= source.getbuffer().nbytes:
            raise TruncatedImage from None
        raise


def _refuse_cut(source: _Source, elements: Dataset) -> None:
    if source.cut or any(_is_short(element) for element in elements.elements()):
        raise TruncatedImage


def _is_short(element: DataElement | RawDataElement) -> bool:
    return (
        isinstance(element, RawDataElement)
        and element.length != _UNDEFINED_LENGTH
        and len(element.value or b"") < element.length
    )
