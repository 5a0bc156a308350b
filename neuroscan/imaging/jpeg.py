"""The structure of a JPEG file (ITU-T T.81, annex B): its size, and the file without its metadata.

Everything but the picture is dropped before a decoder sees the file: EXIF (apart from the
orientation), XMP, Photoshop, comments, color profiles (their text can name a device or its owner),
embedded previews, and whatever follows the first picture. A multi-picture file (MPO) therefore
counts as its primary picture.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from neuroscan.contracts.problems import BadImage, DecodeLimit, TruncatedImage
from neuroscan.imaging.exif import orientation_block, read_orientation
from neuroscan.imaging.limits import MAX_PARTS, check_size
from neuroscan.imaging.raster import CleanRaster

_SOI, EOI, _SOS = 0xD8, 0xD9, 0xDA
_APP0, _APP1, _APP14 = 0xE0, 0xE1, 0xEE
# SOF0 to SOF15 less DHT (C4), JPG (C8) and DAC (CC); F7 is the frame header of JPEG-LS.
_FRAME_HEADERS = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
# Tables and scans: Huffman, arithmetic, quantization, line count, restart, hierarchy.
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF})
_EXIF = b"Exif\x00\x00"
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


@dataclass(frozen=True)
class Segment:
    """A marker with its payload and, after a start of scan, the coded data.

    The marker stands at `start`, the payload four bytes behind it; `end` is where all of it ends.
    """

    marker: int
    payload: bytes
    scan: bytes
    start: int
    end: int


def clean_jpeg(content: bytes) -> CleanRaster:
    """The picture's own segments, checked.

    Raises `TruncatedImage` when the file ends before its end-of-image marker, `ImageTooLarge` and
    `ImageTooSmall` by the frame header, `DecodeLimit` for a file of too many segments, `BadImage`
    when there is no picture.
    """
    head: list[bytes] = []
    body: list[bytes] = []
    orientation: int | None = None
    sized = False
    for segment in segments(content):
        if segment.marker == _APP1 and segment.payload.startswith(_EXIF) and orientation is None:
            orientation = read_orientation(segment.payload[len(_EXIF) :])
        elif segment.marker == _APP0 and segment.payload.startswith(b"JFIF\x00"):
            # Version and density without the preview that may follow them.
            head = head or [_pack(_APP0, segment.payload[:12].ljust(12, b"\x00") + b"\x00\x00")]
        elif segment.marker == _APP14 and segment.payload.startswith(b"Adobe"):
            body.append(_pack(_APP14, segment.payload[:12]))
        elif segment.marker in _FRAME_HEADERS:
            check_size(*_frame_size(segment.payload))
            sized = True
            body.append(_pack(segment.marker, segment.payload))
        elif segment.marker == _SOS or segment.marker in _TABLES:
            body.append(_pack(segment.marker, segment.payload) + segment.scan)
    if not sized:
        raise BadImage
    if orientation not in (None, 1):
        head.append(_pack(_APP1, _EXIF + orientation_block(orientation or 1)))
    return CleanRaster(b"".join((b"\xff\xd8", *head, *body, b"\xff\xd9")))


def jpeg_frame_size(content: bytes) -> tuple[int, int] | None:
    """Width and height by the first frame header of a JPEG or JPEG-LS stream, None without one."""
    for segment in segments(content):
        if segment.marker in _FRAME_HEADERS:
            return _frame_size(segment.payload)
        if segment.marker == _SOS:
            break
    return None


def segments(
    content: bytes, position: int = 0, after_scan: re.Pattern[bytes] = _NEXT_MARKER
) -> Iterator[Segment]:
    """Every segment of the picture that begins at `position`, up to its end-of-image marker.

    `after_scan` finds the marker that ends coded data. Raises `TruncatedImage`, `BadImage`,
    `DecodeLimit`.
    """
    position += 2
    for _ in range(MAX_PARTS):
        # Bytes between segments are padding; decoders skip them, and so does this.
        match = _NEXT_MARKER.search(content, position)
        if match is None:
            raise TruncatedImage
        start, position = match.span()
        marker = content[start + 1]
        if marker == EOI:
            yield Segment(marker, b"", b"", start, position)
            return
        if marker in (0x01, _SOI):
            continue
        length = int.from_bytes(content[position : position + 2], "big")
        end = position + length
        if max(end, position + 2) > len(content):
            raise TruncatedImage
        if length < 2:
            raise BadImage
        payload = content[position + 2 : end]
        position = end
        scan = b""
        if marker == _SOS:
            following = after_scan.search(content, position)
            if following is None:
                raise TruncatedImage
            scan = content[position : following.start()]
            position = following.start()
        yield Segment(marker, payload, scan, start, position)
    raise DecodeLimit


def _frame_size(payload: bytes) -> tuple[int, int]:
    try:
        height, width = struct.unpack_from(">HH", payload, 1)
    except struct.error:
        raise BadImage from None
    return width, height


def _pack(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
