"""The structure of a PNG file (ISO 15948): its size and frames, and the file without its metadata.

Text, EXIF (apart from the orientation), time, resolution, color profiles, unknown chunks and
whatever follows the end are dropped before a decoder sees the file, so compressed text and
profiles are never inflated.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from neuroscan.contracts.problems import BadImage, TruncatedImage
from neuroscan.imaging.detect import PNG_MAGIC
from neuroscan.imaging.exif import orientation_block, read_orientation
from neuroscan.imaging.limits import check_size
from neuroscan.imaging.raster import CleanRaster

_STILL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"sRGB"})
_ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
_CHECKED = _STILL | _ANIMATION
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Left, top, step right, step down of each pass: of a plain picture, of an interlaced one (Adam7).
_PASSES = {
    0: ((0, 0, 1, 1),),
    1: (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ),
}
_PIECE_BYTES = 1 << 20


@dataclass
class _Survey:
    orientation: int = 1
    frames: int = 0
    frames_declared: int = 0
    has_data: bool = False
    default_is_apart: bool = False
    kept: list[tuple[bytes, bytes]] = field(default_factory=list)


def clean_png(content: bytes) -> CleanRaster:
    """The picture's own chunks, checked.

    Raises `TruncatedImage` when the file ends before IEND or its data before the last row (Pillow
    leaves such rows black), `ImageTooLarge` and `ImageTooSmall` by
    IHDR, `BadImage` on a wrong checksum. `frames` counts as Pillow does: a default image that is
    not part of the animation is frame 0.
    """
    survey = _Survey()
    for kind, data in _chunks(content):
        if not survey.kept and kind != b"IHDR":
            raise BadImage
        _note(survey, kind, data)
    _check_data(survey.kept)
    frames = min(survey.frames, survey.frames_declared) + survey.default_is_apart
    animated = survey.frames_declared > 0 and frames > 1
    wanted = _CHECKED if animated else _STILL
    parts = [PNG_MAGIC]
    for kind, data in survey.kept:
        if kind in wanted:
            parts.append(_pack(kind, data))
        if kind == b"IHDR" and survey.orientation != 1:
            parts.append(_pack(b"eXIf", orientation_block(survey.orientation)))
    return CleanRaster(b"".join(parts), frames=frames if animated else 1)


def _note(survey: _Survey, kind: bytes, data: bytes) -> None:
    if kind == b"IHDR":
        if len(data) != 13:
            raise BadImage
        check_size(*struct.unpack_from(">II", data))
    elif kind == b"eXIf":
        survey.orientation = read_orientation(data)
    elif kind == b"acTL" and not survey.has_data:
        survey.frames_declared = int.from_bytes(data[:4], "big")
    elif kind == b"fcTL":
        survey.frames += 1
    elif kind == b"IDAT" and not survey.has_data:
        survey.has_data = True
        survey.default_is_apart = survey.frames == 0
    if kind in _CHECKED:
        survey.kept.append((kind, data))


def _check_data(kept: list[tuple[bytes, bytes]]) -> None:
    missing = _data_bytes(kept[0][1])
    inflater = zlib.decompressobj()
    for kind, data in kept:
        piece = data if kind == b"IDAT" else b""
        while piece and missing > 0 and not inflater.eof:
            missing -= len(inflater.decompress(piece, _PIECE_BYTES))
            piece = inflater.unconsumed_tail
    if missing > 0:
        raise TruncatedImage


def _data_bytes(header: bytes) -> int:
    # Inflated size: every row has a filter byte (ISO 15948, 7.2 and 8.1).
    width, height, depth, color, _, _, interlace = struct.unpack(">IIBBBBB", header)
    if color not in _CHANNELS or interlace not in _PASSES:
        raise BadImage
    total = 0
    for left, top, right, down in _PASSES[interlace]:
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        total += rows * (1 + (columns * depth * _CHANNELS[color] + 7) // 8)
    return total


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(PNG_MAGIC)
    while True:
        if position + 12 > len(content):
            raise TruncatedImage
        length, kind = struct.unpack_from(">I4s", content, position)
        end = position + 8 + length
        if not kind.isalpha():
            raise BadImage
        if end + 4 > len(content):
            raise TruncatedImage
        data = content[position + 8 : end]
        if kind in _CHECKED and _checksum(kind, data) != content[end : end + 4]:
            raise BadImage("A checksum in the PNG file is wrong. Export or send it again.")
        yield kind, data
        if kind == b"IEND":
            return
        position = end + 4


def _pack(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + _checksum(kind, data)


def _checksum(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
