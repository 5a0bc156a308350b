"""Moments as callers give them, in UTC and within a calendar that every part can read."""

from datetime import UTC, datetime

from neuroscan.contracts.problems import InvalidRequest

# A moment outside can leave the years 1 to 9999 in another time zone, and then nobody can read it.
YEAR_MIN, YEAR_MAX = 1900, 9998


def in_utc(name: str, moment: datetime) -> datetime:
    """The moment in UTC, which a time without an offset is taken to be.

    Raises `InvalidRequest`, which names the field, for a moment outside the years 1900 to 9998.
    """
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if not YEAR_MIN <= aware.year <= YEAR_MAX:
        raise InvalidRequest(f"`{name}` must lie in the years {YEAR_MIN} to {YEAR_MAX}.")
    return aware.astimezone(UTC)
