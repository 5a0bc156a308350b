"""Comments inside compressed DICOM pixels: blanked where they stand, nothing moves.

A frame is a file of its own (JPEG: ITU-T T.81, annex B; JPEG-LS: T.87; JPEG 2000: T.800, annex A)
and may hold free text, a name among it, that no attribute of the object shows. Comments,
application segments and what follows a picture are overwritten with zeros; what decoders read the
colors from stays.
"""

import re
import struct
from collections.abc import Generator, Iterator

from neuroscan.contracts.problems import NeuroscanError
from neuroscan.imaging.jpeg import EOI, segments

_Span = tuple[int, int]

_ITEM = b"\xfe\xff\x00\xe0"
_SOI, _SOC = b"\xff\xd8", b"\xff\x4f"
_NEXT_FRAME = re.compile(rb"\xff\xd8\xff|\xff\x4f\xff\x51")
# In coded data 0xFF is followed by a stuffed byte, below 0x80 in JPEG-LS, or by a restart marker.
_AFTER_SCAN = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_COMMENT, _APP0, _APP15 = 0xFE, 0xE0, 0xEF
# Of an application segment, its name and how many bytes say how colors are coded.
_COLORS = ((0xE0, b"JFIF\x00", 14), (0xEE, b"Adobe", 12), (0xE8, b"mrfx", 5))
_J2K_COMMENT, _J2K_TILE, _J2K_DATA, _J2K_END = 0xFF64, 0xFF90, 0xFF93, 0xFFD9


def blank_comments(encapsulated: bytes) -> bytes:
    """Encapsulated pixel data (PS3.5, A.4), of the same length, without free text in its frames.

    What is neither JPEG, JPEG-LS nor JPEG 2000, or does not follow their syntax, stays as it is.
    """
    fragments = list(_fragments(encapsulated))[1:]
    stream = b"".join(encapsulated[start:end] for start, end in fragments)
    blanked = bytearray(stream)
    try:
        for start, end in _texts(stream):
            blanked[start:end] = bytes(len(blanked[start:end]))
    except (struct.error, NeuroscanError):
        # Cut off or broken from here on; what was found before is blanked.
        pass
    clean, at = bytearray(encapsulated), 0
    for start, end in fragments:
        clean[start:end] = blanked[at : at + end - start]
        at += end - start
    return bytes(clean)


def _fragments(encapsulated: bytes) -> Iterator[_Span]:
    """Where the items' contents lie; the first is the offset table."""
    at = 0
    while encapsulated[at : at + 4] == _ITEM and at + 8 <= len(encapsulated):
        (length,) = struct.unpack_from("<I", encapsulated, at + 4)
        end = min(at + 8 + length, len(encapsulated))
        yield at + 8, end
        at = end


def _texts(stream: bytes) -> Iterator[_Span]:
    """All that may be blanked in one frame after another."""
    at = 0
    while at < len(stream):
        start = at
        if stream.startswith(_SOI, at):
            at = yield from _jpeg(stream, at)
        elif stream.startswith(_SOC, at):
            at = yield from _jpeg_2000(stream, at + 2)
        elif at == 0:
            return
        else:
            found = _NEXT_FRAME.search(stream, at)
            at = found.start() if found else len(stream)
            yield start, at


def _jpeg(stream: bytes, at: int) -> Generator[_Span, None, int]:
    """The texts of the JPEG or JPEG-LS picture that begins at `at`; returns its end."""
    end = at + 2
    for segment in segments(stream, at, _AFTER_SCAN):
        # Decoders skip what stands between segments; markers may be filled up with 0xFF.
        if stream[end : segment.start].strip(b"\xff"):
            yield end, segment.start
        end = segment.end
        if segment.marker == _COMMENT or _APP0 <= segment.marker <= _APP15:
            yield segment.start + 4 + _color_bytes(segment.marker, segment.payload), end
        if segment.marker == EOI:
            break
    return end


def _color_bytes(marker: int, payload: bytes) -> int:
    sizes = [size for of, name, size in _COLORS if marker == of and payload.startswith(name)]
    return min(sizes[0], len(payload)) if sizes else 0


def _jpeg_2000(stream: bytes, at: int) -> Generator[_Span, None, int]:
    """The texts of a JPEG 2000 codestream whose start marker ends at `at`; returns its end."""
    tile_end = 0
    while True:
        (marker,) = struct.unpack_from(">H", stream, at)
        if marker == _J2K_END:
            return at + 2
        if marker == _J2K_DATA:
            # A tile-part of unknown length is the last.
            after = tile_end or stream.find(b"\xff\xd9", at)
            if after <= at:
                return len(stream)
            at = after
            continue
        (length,) = struct.unpack_from(">H", stream, at + 2)
        if marker == _J2K_TILE:
            (part,) = struct.unpack_from(">I", stream, at + 6)
            tile_end = at + part if part else 0
        # Always onwards, whatever a broken segment says of its length.
        end = at + 2 + max(length, 2)
        if marker == _J2K_COMMENT:
            yield at + 6, max(end, at + 6)
        at = end
