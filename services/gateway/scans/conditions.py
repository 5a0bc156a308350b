"""What a request is bound to: entity tags (RFC 9110, 8.8 and 13.1.2) and moments in time."""

from datetime import UTC, datetime

from neuroscan.contracts.problems import InvalidRequest

# A moment outside can leave the years 1 to 9999 in another time zone, and then nobody can read it.
YEAR_MIN, YEAR_MAX = 1900, 9998


def version_tag(version: int) -> str:
    """The entity tag of a row's version."""
    return f'"{version}"'


def names_tag(if_none_match: str | None, etag: str) -> bool:
    """Whether an `If-None-Match` names this tag: `*`, or a list that holds it, weak or strong."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return etag.strip('"') in {_bare(tag) for tag in if_none_match.split(",")}


def in_utc(name: str, moment: datetime) -> datetime:
    """The moment in UTC, which a time without an offset is taken to be.

    Raises `InvalidRequest`, which names the field, for a moment outside the years 1900 to 9998.
    """
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if not YEAR_MIN <= aware.year <= YEAR_MAX:
        raise InvalidRequest(f"`{name}` must lie in the years {YEAR_MIN} to {YEAR_MAX}.")
    return aware.astimezone(UTC)


def _bare(tag: str) -> str:
    return tag.strip().removeprefix("W/").strip('"')
