"""Ids: UUIDv7 (RFC 9562), so that they sort by time of creation."""

import uuid
from datetime import datetime

from uuid_utils.compat import uuid7

_VERSION_AND_VARIANT = (7 << 76) | (2 << 62)


def new_id() -> str:
    """A new UUIDv7 as a string."""
    return str(uuid7())


def is_id(text: str) -> bool:
    """Whether a text is a UUID as this project writes them."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def first_id_at(moment: datetime) -> str:
    """The lowest UUIDv7 that can be made in the millisecond of this moment (aware, after 1970)."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return str(uuid.UUID(int=(milliseconds << 80) | _VERSION_AND_VARIANT))
