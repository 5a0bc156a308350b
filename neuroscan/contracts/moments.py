"""Days and moments as a caller may write them: ISO 8601 text, never a number of seconds."""

import re
from datetime import date, datetime
from typing import Annotated

from pydantic import BeforeValidator, Field

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# For the OpenAPI document: years 1900 to 9998. Any other can leave the calendar in another time
# zone (services/gateway/moments.py checks).
_YEARS = "^(?!9999)(19|[2-9][0-9])[0-9]{2}-"


def _a_day(value: object) -> object:
    """Refuse what pydantic would take for a day although no schema says so: numbers, moments."""
    if isinstance(value, date) or (isinstance(value, str) and _DAY.fullmatch(value)):
        return value
    raise ValueError("should be a day, as in 2026-03-01")


def _a_moment(value: object) -> object:
    """Refuse what pydantic would take for a moment although no schema says so: numbers."""
    if isinstance(value, date) or (isinstance(value, str) and _DAY.match(value)):
        return value
    raise ValueError("should be a moment, as in 2026-03-01T10:00:00Z")


Day = Annotated[date, BeforeValidator(_a_day)]
Moment = Annotated[
    datetime, BeforeValidator(_a_moment), Field(json_schema_extra={"pattern": _YEARS})
]
