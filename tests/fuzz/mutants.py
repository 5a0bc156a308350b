"""Damaged image and DICOM files, each made from a seed and a number alone."""

import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from tests import pictures
from tests.unit.imaging.files import (
    animated_png,
    dicom,
    encode,
    enhanced,
    gradient,
    jpeg_with_exif,
    png_chunk,
    to_file,
    with_chunks,
)

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
# Most of a file's structure lies at its start.
_HEAD_BYTES = 700
_LONGEST_PIECE = 256
_ODD_BYTES = (0x00, 0x01, 0x20, 0x7F, 0x80, 0xFE, 0xFF)
_ODD_WORDS = tuple(
    number.to_bytes(size, order)
    for number in (0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
    for size in (2, 4)
    for order in ("little", "big")
    if number < 1 << (8 * size)
)
_NAMES = {
    "png": ("slice.png", "image/png"),
    "jpeg": ("slice.jpg", "image/jpeg"),
    "dicom": ("slice.dcm", "application/dicom"),
}
_UNNAMED = ("slice", "application/octet-stream")


@dataclass(frozen=True)
class Mutant:
    """A file as it is sent; `frame` is the form's field."""

    number: int
    source: str
    content: bytes
    name: str
    media_type: str
    frame: int | None


def mutant(seed: int, number: int) -> Mutant:
    """The damaged file of this number; the same each time."""
    draw = random.Random(f"{seed} {number}")
    source = draw.choice(sorted(sources()))
    content = bytearray(sources()[source])
    if source.startswith("png") and draw.random() < 0.3:
        content = _damage_inside(draw, content)
    else:
        content = _damage(draw, content)
    if source.startswith("png") and draw.random() < 0.7:
        content = _with_sums(content)
    honest = draw.random() < 0.8
    name, media_type = _NAMES[source.split("-")[0]] if honest else draw.choice(_DECLARED)
    frame = draw.choice((None, None, None, 0, 1, 2**31))
    return Mutant(number, source, bytes(content), name, media_type, frame)


@cache
def sources() -> dict[str, bytes]:
    """Sound files of every kind that is taken, without anything random in them."""
    head = pictures.head(size=128)
    deep = gradient(dtype=np.uint16)
    squeezed = _dicom(deep)
    squeezed.compress(RLELossless, generate_instance_uid=False)
    frames = enhanced()
    frames.SOPInstanceUID = _UID
    return {
        "png-head": pictures.png(head),
        "png-deep": encode(deep, "PNG"),
        "png-color": encode(np.dstack([gradient()] * 3), "PNG"),
        "png-interlaced": encode(gradient(), "PNG", interlace=1),
        "png-text": with_chunks(encode(gradient(), "PNG"), png_chunk(b"tEXt", b"Comment\0x")),
        "png-animated": animated_png(2),
        "jpeg-head": pictures.jpeg(head),
        "jpeg-exif": jpeg_with_exif(gradient(), 6),
        "jpeg-progressive": encode(gradient(), "JPEG", progressive=True),
        "jpeg-color": encode(np.dstack([gradient()] * 3), "JPEG"),
        "dicom-head": to_file(_dicom(head)),
        "dicom-deep": to_file(_dicom(deep)),
        "dicom-color": to_file(_dicom(np.dstack([gradient()] * 3))),
        "dicom-implicit": to_file(_dicom(gradient(), syntax=ImplicitVRLittleEndian)),
        "dicom-deflated": to_file(_dicom(gradient(), syntax=DeflatedExplicitVRLittleEndian)),
        "dicom-rle": to_file(squeezed),
        "dicom-enhanced": to_file(frames),
    }


_UID = "1.2.826.0.1.3680043.8.498.1"
_DECLARED = (*_NAMES.values(), _UNNAMED)


def _dicom(pixels: "np.typing.NDArray[np.generic]", **options: object) -> Dataset:
    return dicom(pixels, SOPInstanceUID=_UID, **options)  # type: ignore[arg-type]


def _damage(draw: random.Random, content: bytearray) -> bytearray:
    for _ in range(draw.choice((1, 1, 2, 3, 6))):
        content = draw.choice(_DAMAGES)(draw, content)
    return content


def _damage_inside(draw: random.Random, png: bytearray) -> bytearray:
    """Damage what a PNG's pixels are compressed from: else little gets past the decompression."""
    out = bytearray(_PNG_MAGIC)
    for kind, data in _chunks(png):
        whole = data
        if kind == b"IDAT":
            whole = zlib.compress(_damage(draw, bytearray(zlib.decompress(data))))
        out += png_chunk(kind, whole)
    return out


def _with_sums(png: bytearray) -> bytearray:
    """The PNG with every checksum right, so that damage gets past them."""
    if not png.startswith(_PNG_MAGIC):
        return png
    out = bytearray(_PNG_MAGIC)
    for kind, data in _chunks(png):
        out += png_chunk(kind, data)
    return out


def _chunks(png: bytearray) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG_MAGIC)
    while at + 8 <= len(png):
        length = int.from_bytes(png[at : at + 4])
        yield bytes(png[at + 4 : at + 8]), bytes(png[at + 8 : at + 8 + length])
        at += 12 + length


def _place(draw: random.Random, content: bytearray) -> int:
    within = len(content) if draw.random() < 0.4 else min(len(content), _HEAD_BYTES)
    return draw.randrange(max(within, 1))


def _piece(draw: random.Random, content: bytearray) -> slice:
    start = _place(draw, content)
    return slice(start, start + draw.randint(1, _LONGEST_PIECE))


def _change_bytes(draw: random.Random, content: bytearray) -> bytearray:
    for _ in range(draw.randint(1, 8)):
        at = _place(draw, content)
        odd = draw.choice(_ODD_BYTES) if draw.random() < 0.5 else draw.randrange(256)
        content[at : at + 1] = bytes([odd])
    return content


def _change_word(draw: random.Random, content: bytearray) -> bytearray:
    at, word = _place(draw, content), draw.choice(_ODD_WORDS)
    content[at : at + len(word)] = word
    return content


def _flip_bit(draw: random.Random, content: bytearray) -> bytearray:
    if content:
        content[_place(draw, content)] ^= 1 << draw.randrange(8)
    return content


def _cut(draw: random.Random, content: bytearray) -> bytearray:
    return content[: _place(draw, content)]


def _remove(draw: random.Random, content: bytearray) -> bytearray:
    del content[_piece(draw, content)]
    return content


def _repeat(draw: random.Random, content: bytearray) -> bytearray:
    piece = _piece(draw, content)
    content[piece.start : piece.start] = content[piece] * draw.choice((1, 2, 50))
    return content


def _insert(draw: random.Random, content: bytearray) -> bytearray:
    at = _place(draw, content)
    content[at:at] = draw.randbytes(draw.randint(1, _LONGEST_PIECE))
    return content


def _splice(draw: random.Random, content: bytearray) -> bytearray:
    other = bytearray(sources()[draw.choice(sorted(sources()))])
    return content[: _place(draw, content)] + other[_place(draw, other) :]


_DAMAGES: tuple[Callable[[random.Random, bytearray], bytearray], ...] = (
    _change_bytes,
    _change_bytes,
    _change_word,
    _flip_bit,
    _cut,
    _remove,
    _repeat,
    _insert,
    _splice,
)
