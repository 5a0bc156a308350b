"""Comments inside compressed DICOM pixels: blanked where they stand, nothing moves.

A frame is a file of its own (JPEG: ITU-T T.81, annex B; JPEG-LS: T.87; JPEG 2000: T.800, annex A)
and may hold free text, a name among it, that no attribute of the object shows. Comments,
application segments and what follows a picture are overwritten with zeros; what decoders read the
colors from stays.
"""

import re
import struct
from collections.abc import Generator, Iterator

_Span = tuple[int, int]

_ITEM = b"\xfe\xff\x00\xe0"
_SOI, _SOC = b"\xff\xd8", b"\xff\x4f"
_NEXT_FRAME = re.compile(rb"\xff\xd8\xff|\xff\x4f\xff\x51")
# In coded data 0xFF is followed by a stuffed byte, below 0x80 in JPEG-LS, or by a restart marker.
_NEXT_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_COMMENT, _EOI, _SOS = 0xFE, 0xD9, 0xDA
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
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
            blanked[start:end] = bytes(min(end, len(stream)) - start)
    except (struct.error, IndexError):
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
            at = yield from _jpeg(stream, at + 2)
        elif stream.startswith(_SOC, at):
            at = yield from _jpeg_2000(stream, at + 2)
        elif at == 0:
            return
        else:
            found = _NEXT_FRAME.search(stream, at)
            at = found.start() if found else len(stream)
            yield start, at


def _jpeg(stream: bytes, at: int) -> Generator[_Span, None, int]:
    """The texts of a JPEG or JPEG-LS picture whose start marker ends at `at`; returns its end."""
    while True:
        while stream[at : at + 2] == b"\xff\xff":
            at += 1
        lead, marker = stream[at], stream[at + 1]
        if lead != 0xFF:
            return len(stream)
        if marker == _EOI:
            return at + 2
        if marker in _ALONE:
            at += 2
            continue
        end = at + 2 + _length(stream, at + 2)
        if marker == _COMMENT:
            yield at + 4, end
        elif 0xE0 <= marker <= 0xEF:
            yield at + 4 + _color_bytes(marker, stream[at + 4 : end]), end
        at = end
        if marker == _SOS:
            found = _NEXT_MARKER.search(stream, at)
            if found is None:
                return len(stream)
            at = found.start()


def _color_bytes(marker: int, payload: bytes) -> int:
    sizes = [size for of, name, size in _COLORS if marker == of and payload.startswith(name)]
    return min(sizes[0], len(payload)) if sizes else 0


def _jpeg_2000(stream: bytes, at: int) -> Generator[_Span, None, int]:
    """The texts of a JPEG 2000 codestream whose start marker ends at `at`; returns its end."""
    tile_end = None
    while True:
        (marker,) = struct.unpack_from(">H", stream, at)
        if marker == _J2K_END:
            return at + 2
        if marker == _J2K_DATA:
            # A tile-part of unknown length is the last.
            at = tile_end or max(stream.find(b"\xff\xd9", at), at + 2)
            continue
        end = at + 2 + _length(stream, at + 2)
        if marker == _J2K_TILE:
            (part,) = struct.unpack_from(">I", stream, at + 6)
            tile_end = at + part if part else None
        if marker == _J2K_COMMENT:
            yield at + 6, end
        if tile_end is not None and tile_end <= at:
            return len(stream)
        at = end


def _length(stream: bytes, at: int) -> int:
    (length,) = struct.unpack_from(">H", stream, at)
    if length < 2:
        raise struct.error("a segment shorter than its own length")
    return int(length)
