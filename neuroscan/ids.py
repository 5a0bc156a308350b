"""Ids: UUIDv7 (RFC 9562), so that they sort by time of creation."""

from uuid_utils.compat import uuid7


def new_id() -> str:
    """A new UUIDv7 as a string."""
    return str(uuid7())
