"""Comments inside compressed DICOM pixels: blanked where they stand, nothing moves.

A frame is a file of its own (JPEG: ITU-T T.81, annex B; JPEG-LS: T.87; JPEG 2000: T.800, annex A)
and may hold free text, a name among it, that no attribute of the object shows. Comments,
application segments and what follows a picture are overwritten with zeros; what decoders read the
colors from stays. Each frame is read by itself, and one that can't be read is refused: nobody
could say what it holds.
"""

import re
import struct
from collections.abc import Callable, Generator, Iterator

from pydicom.encaps import generate_fragmented_frames
from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
)

from neuroscan.contracts.problems import BadImage, TruncatedImage
from neuroscan.imaging.jpeg import EOI, segments
from neuroscan.imaging.limits import DECODER_ERRORS

_Span = tuple[int, int]
_Texts = Callable[[bytes], Iterator[_Span]]

_ITEM = b"\xfe\xff\x00\xe0"
_SOI, _SOC = b"\xff\xd8", b"\xff\x4f"
# In coded data 0xFF is followed by a stuffed byte, below 0x80 in JPEG-LS, or by a restart marker.
_AFTER_SCAN = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_COMMENT, _APP0, _APP15 = 0xFE, 0xE0, 0xEF
# Of an application segment, its name and how many bytes say how colors are coded.
_COLORS = ((0xE0, b"JFIF\x00", 14), (0xEE, b"Adobe", 12), (0xE8, b"mrfx", 5))
_J2K_COMMENT, _J2K_TILE, _J2K_DATA, _J2K_END = 0xFF64, 0xFF90, 0xFF93, 0xFFD9
_J2K_FIRST = 0xFF4F


def blank_comments(encapsulated: bytes, syntax: UID, frames: int) -> bytes:
    """Encapsulated pixel data (PS3.5, A.4), of the same length, without free text in its frames.

    What is neither JPEG, JPEG-LS nor JPEG 2000 by its transfer syntax stays as it is. Raises
    `BadImage` for a frame that does not follow its syntax, and where there are too few of them.
    """
    texts = _texts_by(syntax)
    if texts is None:
        return encapsulated
    clean = bytearray(encapsulated)
    for fragments in _frames(encapsulated, frames):
        stream = b"".join(encapsulated[start:end] for start, end in fragments)
        blanked = bytearray(stream)
        try:
            for start, end in texts(stream):
                blanked[start:end] = bytes(len(blanked[start:end]))
        except struct.error:
            raise TruncatedImage from None
        at = 0
        for start, end in fragments:
            clean[start:end] = blanked[at : at + end - start]
            at += end - start
    return bytes(clean)


def _texts_by(syntax: UID) -> _Texts | None:
    if syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
        return _jpeg
    return _jpeg_2000 if syntax in JPEG2000TransferSyntaxes else None


def _frames(encapsulated: bytes, frames: int) -> Iterator[list[_Span]]:
    """Where the fragments of each frame lie, shared out as the decoders do it."""
    fragments = _fragments(encapsulated)
    # The first item is the offset table.
    next(fragments, None)
    try:
        shared_out = list(generate_fragmented_frames(encapsulated, number_of_frames=frames))
    except DECODER_ERRORS:
        raise BadImage from None
    for frame in shared_out:
        yield [span for _, span in zip(frame, fragments, strict=False)]


def _fragments(encapsulated: bytes) -> Iterator[_Span]:
    """Where the items' contents lie."""
    at = 0
    while encapsulated[at : at + 4] == _ITEM and at + 8 <= len(encapsulated):
        (length,) = struct.unpack_from("<I", encapsulated, at + 4)
        end = min(at + 8 + length, len(encapsulated))
        yield at + 8, end
        at = end


def _jpeg(stream: bytes) -> Iterator[_Span]:
    """The texts of a JPEG or JPEG-LS picture, and what follows it."""
    _check_start(stream, _SOI)
    end = len(_SOI)
    for segment in segments(stream, 0, _AFTER_SCAN):
        # Decoders skip what stands between segments; markers may be filled up with 0xFF.
        between = stream[end : segment.start].strip(b"\xff")
        if between:
            if _SOI in stream[end : segment.start]:
                raise BadImage("A compressed DICOM frame holds a second picture. Export it again.")
            yield end, segment.start
        end = segment.end
        if segment.marker == _COMMENT or _APP0 <= segment.marker <= _APP15:
            yield segment.start + 4 + _color_bytes(segment.marker, segment.payload), end
        if segment.marker == EOI:
            break
    yield end, len(stream)


def _color_bytes(marker: int, payload: bytes) -> int:
    sizes = [size for of, name, size in _COLORS if marker == of and payload.startswith(name)]
    return min(sizes[0], len(payload)) if sizes else 0


def _jpeg_2000(stream: bytes) -> Iterator[_Span]:
    """The texts of a JPEG 2000 codestream, and what follows it."""
    _check_start(stream, _SOC)
    end = yield from _jpeg_2000_segments(stream, len(_SOC))
    yield end, len(stream)


def _jpeg_2000_segments(stream: bytes, at: int) -> Generator[_Span, None, int]:
    """The texts from the first segment on; returns the codestream's end."""
    tile_end = 0
    while True:
        (marker,) = struct.unpack_from(">H", stream, at)
        if marker == _J2K_END:
            return at + 2
        if marker == _J2K_DATA:
            # A tile-part of unknown length is the last.
            after = tile_end or stream.find(b"\xff\xd9", at)
            if after <= at:
                raise TruncatedImage
            at = after
            if len(stream) - 1 <= at <= len(stream):
                # Without an end marker; at most a byte fills the frame up.
                return at
            continue
        (length,) = struct.unpack_from(">H", stream, at + 2)
        if marker <= _J2K_FIRST or length < 2:
            raise BadImage
        if marker == _J2K_TILE:
            (part,) = struct.unpack_from(">I", stream, at + 6)
            tile_end = at + part if part else 0
        end = at + 2 + length
        if marker == _J2K_COMMENT:
            yield at + 6, max(end, at + 6)
        at = end


def _check_start(stream: bytes, marker: bytes) -> None:
    if not stream.startswith(marker):
        # In a wrapper (JP2), for instance, whose boxes may hold any text.
        raise BadImage(
            "A compressed DICOM frame is not a bare codestream of its transfer syntax. "
            "Export the slice again, without compression."
        )
