"""Frames that follow no syntax are refused, each by itself; blanking never changes the length."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import UID, JPEG2000Lossless, JPEGBaseline8Bit

from neuroscan.contracts.problems import BadImage
from neuroscan.imaging.codestream import blank_comments
from neuroscan.imaging.decode import decode
from tests.unit.imaging.files import NAME, dicom, encode, gradient, to_file

SOT = b"\xff\x90\x00\x0a\x00\x00"
BROKEN = {
    "a tile that ends early": b"\xff\x4f" + SOT + struct.pack(">I", 5) + b"\x00\x01\xff\x93",
    "a tile without an end": b"\xff\x4f" + SOT + bytes(6) + b"\xff\x93" * 50_000,
    "a comment of no length": b"\xff\x4f\xff\x64\x00\x00\xff\xd9",
    "a JPEG that is cut off": b"\xff\xd8\xff\xfe\x00\x40name",
}  # fmt: skip


# How every JP2 file begins.
JP2 = b"\x00\x00\x00\x0cjP  "


def syntax_of(frame: bytes) -> UID:
    return JPEG2000Lossless if frame.startswith(b"\xff\x4f") else JPEGBaseline8Bit


def blanked(*frames: bytes, syntax: UID | None = None) -> list[bytes]:
    """The frames as they are kept."""
    value = encapsulate(list(frames))
    kept = blank_comments(value, syntax or syntax_of(frames[0]), len(frames))
    assert len(kept) == len(value)
    return list(generate_frames(kept, number_of_frames=len(frames)))


@pytest.mark.parametrize("frame", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(BadImage):
        blanked(frame)
    good = encode(gradient(), "JPEG2000", no_jp2=True)
    if syntax_of(frame) == JPEG2000Lossless:
        with pytest.raises(BadImage):
            blanked(good, frame)


def test_a_comment_without_room_for_text_is_left_alone() -> None:
    frame = b"\xff\x4f\xff\x64\x00\x02\xff\xd9"
    assert blanked(frame) == [frame]


def test_every_frame_is_read_by_itself() -> None:
    frame = encode(gradient(), "JPEG")
    comment = b"\xff\xfe" + (len(NAME) + 2).to_bytes(2) + NAME.encode()
    first, second = blanked(frame, frame[:2] + comment + frame[2:])
    assert first.startswith(frame)
    assert NAME.encode() not in second
    # Without its end marker: the frame behind it is not taken for what follows.
    with pytest.raises(BadImage):
        blanked(frame[:-2], frame)


def test_a_second_picture_between_segments_is_refused() -> None:
    frame = encode(gradient(), "JPEG")
    with pytest.raises(BadImage):
        blanked(frame[:2] + b"Jane" + frame)


def test_a_codestream_in_a_wrapper_is_refused() -> None:
    wrapped = encode(gradient(), "JPEG2000")
    assert wrapped.startswith(JP2)
    text = struct.pack(">I", 8 + len(NAME)) + b"xml " + NAME.encode()
    with pytest.raises(BadImage, match="bare codestream"):
        blanked(wrapped[:12] + text + wrapped[12:], syntax=JPEG2000Lossless)
    # A box of no length, over which pydicom never comes.
    with pytest.raises(BadImage, match="bare codestream"):
        blanked(JP2 + b"\x0d\x0a\x87\x0a" + bytes(20), syntax=JPEG2000Lossless)


def test_a_file_with_a_box_of_no_length_is_refused_at_once() -> None:
    dataset = dicom(gradient())
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = encapsulate([JP2 + b"\x0d\x0a\x87\x0a" + bytes(64)])
    with pytest.raises(BadImage):
        decode(to_file(dataset))


def test_a_codestream_without_its_end_marker_is_kept() -> None:
    frame = encode(gradient(), "JPEG2000", no_jp2=True)
    assert frame.endswith(b"\xff\xd9")
    (kept,) = blanked(frame[:-2], syntax=JPEG2000Lossless)
    assert len(kept) - len(frame[:-2]) in (0, 1)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6))
def test_whatever_is_changed_the_length_stays(changes: list[tuple[int, int]]) -> None:
    value = bytearray(encapsulate([encode(gradient(), "JPEG")]))
    for at, byte in changes:
        value[at] = byte
    with contextlib.suppress(BadImage):
        assert len(blank_comments(bytes(value), JPEGBaseline8Bit, 1)) == len(value)


def test_text_between_segments_is_blanked_too() -> None:
    frame = encode(gradient(), "JPEG")
    (kept,) = blanked(frame[:2] + NAME.encode() + b"\xff\xff" + frame[2:])
    assert NAME.encode() not in kept
    assert kept.startswith(frame[:2] + bytes(len(NAME)))
