"""Opaque cursors: where a list goes on, bound to the filters it was begun with."""

import base64
import binascii
import hashlib
import json
import uuid

from neuroscan.contracts.problems import BadCursor


def _filters_digest(filters: dict[str, str | None]) -> str:
    return hashlib.sha256(json.dumps(filters, sort_keys=True).encode()).hexdigest()[:16]


def encode_cursor(last_id: str, filters: dict[str, str | None]) -> str:
    """A cursor for what follows `last_id`."""
    content = json.dumps([last_id, _filters_digest(filters)]).encode()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def decode_cursor(cursor: str, filters: dict[str, str | None]) -> str:
    """The id to go on from; raises `BadCursor` for anything but our own cursor of this list."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        last_id, digest = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if digest != _filters_digest(filters):
            raise BadCursor
        return str(uuid.UUID(last_id))
    except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError) as error:
        raise BadCursor from error
