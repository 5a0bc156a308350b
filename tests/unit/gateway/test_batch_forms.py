"""A form's parts, in whatever pieces it comes, and what its file names may hold."""

import contextlib
import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroscan.contracts.problems import MAX_UPLOAD_BYTES
from services.gateway.batches.multipart import (
    FormError,
    FormParser,
    Part,
    SentFile,
    TextField,
    clean_name,
)

BODY = (
    b'--b\r\nContent-Disposition: form-data; name="notes"\r\n\r\nsehr gut \xc3\xa4\r\n'
    b'--b\r\ncontent-disposition: form-data; name="images"; filename="A \xe8\x8a\xb1.PNG"\r\n'
    b"Content-Type: image/png\r\n\r\n\r\n--b-not\r\n--\r\n"
    b'--b\r\nContent-Disposition: form-data; name="images"; filename=""\r\n\r\n\r\n--b--\r\n'
)


def parse(*pieces: bytes) -> list[Part]:
    parser = FormParser(b"b")
    parts = [part for piece in pieces for part in parser.feed(piece)]
    parser.close()
    return parts


@given(st.lists(st.integers(0, len(BODY)), max_size=20))
def test_parts_are_the_same_however_the_body_is_cut(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(BODY)]
    parts = parse(*(BODY[a:b] for a, b in itertools.pairwise(bounds)))
    content = b"\r\n--b-not\r\n--"
    assert parts == [
        TextField("notes", "sehr gut ä"),
        SentFile(
            name="A 花.PNG",
            suffix=".png",
            media_type="image/png",
            content=content,
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        ),
        SentFile(
            name="",
            suffix=None,
            media_type=None,
            content=b"",
            size=0,
            sha256=hashlib.sha256(b"").hexdigest(),
        ),
    ]


@pytest.mark.parametrize("end", range(1, len(BODY) - 4, 7))
def test_a_body_that_ends_early_is_no_form(end: int) -> None:
    with pytest.raises(FormError):
        parse(BODY[:end])


@given(st.binary(max_size=300))
def test_any_bytes_are_a_form_or_refused(content: bytes) -> None:
    with contextlib.suppress(FormError):
        parse(content)


def test_of_a_file_that_is_too_large_only_digest_and_size_are_kept() -> None:
    piece = bytes(1 << 20)
    head = b'--b\r\nContent-Disposition: form-data; name="images"; filename="x"\r\n\r\n'
    (largest,) = parse(head, *[piece] * 32, b"\r\n--b--\r\n")
    (larger,) = parse(head, *[piece] * 32, b"!\r\n--b--\r\n")
    assert isinstance(largest, SentFile)
    assert isinstance(larger, SentFile)
    assert largest.content is not None
    assert (len(largest.content), largest.size) == (MAX_UPLOAD_BYTES, MAX_UPLOAD_BYTES)
    assert (larger.content, larger.size) == (None, MAX_UPLOAD_BYTES + 1)
    assert larger.sha256 == hashlib.sha256(piece * 32 + b"!").hexdigest()


@given(st.text())
def test_file_names_are_short_and_hold_no_control_characters(name: str) -> None:
    cleaned = clean_name(name)
    assert len(cleaned) <= 255
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in cleaned)
    assert clean_name(cleaned) == cleaned
    cleaned.encode()


@pytest.mark.parametrize("kind", ["image/jpég".encode(), b"image/\xff\xfe"])
def test_a_type_that_is_no_ascii_is_one_file_s_fault(kind: bytes) -> None:
    whole = BODY.replace(b"image/png", kind)
    first = parse(whole)[1]
    assert isinstance(first, SentFile)
    assert first.media_type not in (None, "image/png")
