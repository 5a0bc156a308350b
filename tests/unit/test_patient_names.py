"""Names and record numbers in Unicode's form C, counted as they are kept."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from neuroscan.contracts.patient import PatientCreate, PersonName, RecordNumber

# One letter that form C writes with two.
GROWS = "\u0958"


def test_text_is_composed_before_it_is_counted() -> None:
    kept = PatientCreate(medical_record_number=GROWS * 32, name=GROWS * 100)
    # What was taken can be shown again.
    assert PatientCreate(**kept.model_dump()) == kept
    for fields in (
        {"medical_record_number": GROWS * 33},
        {"medical_record_number": "1", "name": GROWS * 101},
    ):
        with pytest.raises(ValidationError, match="at most"):
            PatientCreate.model_validate(fields)


def test_what_composing_shortens_is_taken() -> None:
    patient = PatientCreate(medical_record_number="e\u0301" * 64)
    assert patient.medical_record_number == "\u00e9" * 64


@pytest.mark.parametrize(("kind", "longest"), [(RecordNumber, 64), (PersonName, 200)])
def test_the_schema_says_what_is_taken(kind: Any, longest: int) -> None:
    schema = TypeAdapter(kind).json_schema()
    assert {name: schema[name] for name in ("type", "minLength", "maxLength")} == {
        "type": "string",
        "minLength": 1,
        "maxLength": longest,
    }
    assert "pattern" in schema
