"""A multipart body as it streams in: fields, then files, one at a time and never on the disk.

The parser is fed with pieces of the body and gives the parts that they complete. Of a file that is
larger than a slice may be, only the digest and the size are kept.
"""

import hashlib
import io
import unicodedata
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import PurePath

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from neuroscan.contracts.problems import (
    MAX_UPLOAD_BYTES,
    BadRequest,
    InvalidRequest,
    NeuroscanError,
)
from services.gateway.boundary import boundary_of
from services.gateway.scans.form import FIELDS, IMAGE_FIELD

FILES_FIELD = "images"
TEXT_FIELDS = FIELDS - {IMAGE_FIELD}
FILE_NAME_LENGTH_MAX = 255
# Far above the longest field, `notes`.
FIELD_BYTES_MAX = 64 * 1024
# RFC 2046 allows 70.
BOUNDARY_LENGTH_MAX = 200


class FormError(Exception):
    """The form itself is off, so that nothing of it counts; `refusal` says how."""

    def __init__(self, refusal: NeuroscanError) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


@dataclass(frozen=True)
class TextField:
    """A field of the form."""

    name: str
    text: str


@dataclass(frozen=True)
class SentFile:
    """A file as it was sent; `content` is None when it is too large to be a slice.

    `name` may name a person: never log it.
    """

    name: str
    suffix: str | None
    media_type: str | None
    content: bytes | None
    size: int
    sha256: str


Part = TextField | SentFile


async def read_parts(pieces: AsyncIterator[bytes], content_type: str) -> AsyncIterator[Part]:
    """The parts of a body; raises `FormError` for one that can't be read or has no place here."""
    parser = FormParser(_boundary(content_type))
    async for piece in pieces:
        for part in parser.feed(piece):
            yield part
    parser.close()


def clean_name(name: str) -> str:
    """A file's name without control characters, at most 255 characters of it."""
    kept = (char for char in name if unicodedata.category(char) not in ("Cc", "Cs"))
    return "".join(kept)[:FILE_NAME_LENGTH_MAX]


class FormParser:
    """A push parser for one form: text fields first, each once, then files."""

    def __init__(self, boundary: bytes) -> None:
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )
        self._complete: list[Part] = []
        self._seen: set[str] = set()
        self._ended = False
        self._on_part_begin()

    def feed(self, piece: bytes) -> list[Part]:
        """The parts that this piece of the body completes; raises `FormError`."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise FormError(BadRequest("The body is no readable multipart/form-data.")) from error
        complete, self._complete = self._complete, []
        return complete

    def close(self) -> None:
        """Raise `FormError` when the body ended before the form did."""
        if not self._ended:
            raise FormError(BadRequest("The body ends before its last boundary."))

    def _on_part_begin(self) -> None:
        self._header = bytearray()
        self._header_value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._part: _Building | None = None

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._header_value)
        self._header, self._header_value = bytearray(), bytearray()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = options.get(b"name", b"").decode(errors="replace")
        file_name = options.get(b"filename")
        if name == FILES_FIELD:
            if file_name is None:
                raise _invalid(f"`{FILES_FIELD}` must be sent as files, each with a `filename`.")
            media_type, _ = parse_options_header(self._headers.get(b"content-type"))
            self._part = _BuildingFile(
                file_name.decode(errors="replace"), media_type.decode(errors="replace")
            )
        else:
            self._check_field(name, is_file=file_name is not None)
            self._part = _BuildingField(name)
        self._seen.add(name)

    def _check_field(self, name: str, *, is_file: bool) -> None:
        if name not in TEXT_FIELDS:
            known = ", ".join(sorted({*TEXT_FIELDS, FILES_FIELD}))
            raise _invalid(f"The form has an unknown field. Known are {known}.")
        if is_file:
            raise _invalid(f"`{name}` must be sent as text, without a `filename`.")
        if FILES_FIELD in self._seen:
            raise _invalid(f"Send `{name}` before the first file: it counts for all of them.")
        if name in self._seen:
            raise _invalid(f"`{name}` was sent more than once.")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        assert self._part is not None
        self._part.add(memoryview(data)[start:end])

    def _on_part_end(self) -> None:
        assert self._part is not None
        self._complete.append(self._part.part())
        self._part = None

    def _on_end(self) -> None:
        self._ended = True


class _BuildingField:
    def __init__(self, name: str) -> None:
        self._name = name
        self._text = bytearray()

    def add(self, data: memoryview) -> None:
        if len(self._text) + len(data) > FIELD_BYTES_MAX:
            raise _invalid(f"`{self._name}` is too long.")
        self._text += data

    def part(self) -> Part:
        try:
            return TextField(self._name, self._text.decode())
        except UnicodeDecodeError as error:
            raise _invalid(f"`{self._name}` must be text in UTF-8.") from error


class _BuildingFile:
    def __init__(self, name: str, media_type: str) -> None:
        self._name = name
        self._media_type = media_type
        self._content: io.BytesIO | None = io.BytesIO()
        self._digest = hashlib.sha256()
        self._size = 0

    def add(self, data: memoryview) -> None:
        self._size += len(data)
        self._digest.update(data)
        if self._size > MAX_UPLOAD_BYTES:
            self._content = None
        if self._content is not None:
            self._content.write(data)

    def part(self) -> Part:
        name = clean_name(self._name)
        return SentFile(
            name=name,
            suffix=PurePath(name).suffix.lower() or None,
            media_type=self._media_type or None,
            content=None if self._content is None else self._content.getvalue(),
            size=self._size,
            sha256=self._digest.hexdigest(),
        )


_Building = _BuildingField | _BuildingFile


def _boundary(content_type: str) -> bytes:
    boundary = boundary_of(content_type)
    if not 0 < len(boundary) <= BOUNDARY_LENGTH_MAX:
        raise FormError(
            BadRequest("Send the files as multipart/form-data, with a `boundary` in Content-Type.")
        )
    return boundary


def _invalid(detail: str) -> FormError:
    return FormError(InvalidRequest(detail))
