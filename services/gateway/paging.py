"""Opaque cursors: where a list goes on, bound to the filters it was begun with."""

import base64
import binascii
import hashlib
import json
import uuid
from collections.abc import Sequence

from neuroscan.contracts.problems import BadCursor


def _filters_digest(filters: dict[str, str | None]) -> str:
    return hashlib.sha256(json.dumps(filters, sort_keys=True).encode()).hexdigest()[:16]


def encode_position(position: Sequence[str], filters: dict[str, str | None]) -> str:
    """A cursor for what follows the row with these values of the list's order."""
    content = json.dumps([*position, _filters_digest(filters)]).encode()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decode_position(cursor: str, filters: dict[str, str | None], length: int) -> list[str]:
    """The values to go on from; raises `BadCursor` for anything but our own cursor of this list."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        *position, digest = content
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise BadCursor from error
    texts = [part for part in position if isinstance(part, str)]
    if digest != _filters_digest(filters) or not len(position) == len(texts) == length:
        raise BadCursor
    return texts


def encode_cursor(last_id: str, filters: dict[str, str | None]) -> str:
    """A cursor for what follows `last_id`."""
    return encode_position([last_id], filters)


def decode_cursor(cursor: str, filters: dict[str, str | None]) -> str:
    """The id to go on from; raises `BadCursor` for anything but our own cursor of this list."""
    (last_id,) = decode_position(cursor, filters, 1)
    try:
        return str(uuid.UUID(last_id))
    except ValueError as error:
        raise BadCursor from error
