"""Patients as the API takes and gives them. These types hold names: never log them."""

import unicodedata
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic.json_schema import SkipJsonSchema

from neuroscan.contracts.base import LEFT_OUT, Contract
from neuroscan.contracts.enums import Sex
from neuroscan.contracts.moments import Day

# Postgres stores no null character in text.
_STORABLE = r"^[^\x00]*$"

# With one character at least that can be seen.
_SAYS_SOMETHING = r"^[^\x00]*[^\s\x00\x1c-\x1f\x85][^\x00]*$"


def composed(text: str) -> str:
    """Text in Unicode's normalization form C: letters are the same however they were typed."""
    return unicodedata.normalize("NFC", text)


def _composed_first(value: object) -> object:
    # Before anything is counted: a few letters take more room in form C.
    return composed(value) if isinstance(value, str) else value


def _not_to_come(day: date) -> date:
    # Somewhere on earth it is tomorrow already.
    if day > datetime.now(UTC).date() + timedelta(days=1):
        raise ValueError("lies in the future")
    return day


RecordNumber = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=_SAYS_SOMETHING),
    BeforeValidator(_composed_first),
]
PersonName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=_SAYS_SOMETHING),
    BeforeValidator(_composed_first),
]
BirthDate = Annotated[Day, AfterValidator(_not_to_come)]
Notes = Annotated[str, StringConstraints(max_length=4000, pattern=_STORABLE)]


class PatientCreate(Contract):
    """A new patient."""

    medical_record_number: RecordNumber
    name: PersonName | None = None
    birth_date: BirthDate | None = None
    sex: Sex = Sex.UNKNOWN
    notes: Notes = ""


class PatientUpdate(Contract):
    """Changed fields only; a field that is left out stays."""

    medical_record_number: Annotated[RecordNumber | SkipJsonSchema[None], LEFT_OUT] = None
    name: Annotated[PersonName | None, LEFT_OUT] = None
    birth_date: Annotated[BirthDate | None, LEFT_OUT] = None
    sex: Annotated[Sex | SkipJsonSchema[None], LEFT_OUT] = None
    notes: Annotated[Notes | SkipJsonSchema[None], LEFT_OUT] = None


class PatientView(PatientCreate):
    """A patient as stored."""

    birth_date: Day | None = None
    id: str
    created_at: datetime
    updated_at: datetime


class PatientPage(Contract):
    """One page of patients."""

    items: list[PatientView]
    next_cursor: str | None


class PatientSearch(Contract):
    """Part of a name or of a medical record number; in the body, so that no URL holds it."""

    q: PersonName
    limit: int = Field(default=50, ge=1, le=200)
