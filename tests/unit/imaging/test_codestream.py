"""Frames that follow no syntax: blanking ends, keeps the length, and never goes back."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, generate_fragments

from neuroscan.imaging.codestream import blank_comments
from tests.unit.imaging.files import NAME, encode, gradient

SOT = b"\xff\x90\x00\x0a\x00\x00"
BROKEN = {
    "a tile that ends early": b"\xff\x4f" + SOT + struct.pack(">I", 5) + b"\x00\x01\xff\x93",
    "a tile without an end": b"\xff\x4f" + SOT + bytes(6) + b"\xff\x93" * 50_000,
    "a comment shorter than its head": b"\xff\x4f\xff\x64\x00\x02\xff\xd9",
    "a comment of no length": b"\xff\x4f\xff\x64\x00\x00\xff\xd9",
    "a JPEG that is cut off": b"\xff\xd8\xff\xfe\x00\x40name",
}  # fmt: skip


@pytest.mark.parametrize("frame", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_frame_ends_the_search(frame: bytes) -> None:
    value = encapsulate([frame])
    assert len(blank_comments(value)) == len(value)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6))
def test_whatever_is_changed_the_length_stays(changes: list[tuple[int, int]]) -> None:
    value = bytearray(encapsulate([encode(gradient(), "JPEG")]))
    for at, byte in changes:
        value[at] = byte
    assert len(blank_comments(bytes(value))) == len(value)


def test_text_between_segments_is_blanked_too() -> None:
    frame = encode(gradient(), "JPEG")
    hidden = frame[:2] + NAME.encode() + b"\xff\xff" + frame[2:]
    _, kept = generate_fragments(blank_comments(encapsulate([hidden])))
    assert NAME.encode() not in kept
    assert kept.startswith(frame[:2] + bytes(len(NAME)))
