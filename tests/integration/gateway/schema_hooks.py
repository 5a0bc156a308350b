"""What schemathesis is told about this API (its `SCHEMATHESIS_HOOKS`): pictures, and what to spare.

Pictures, and the id of a patient who is there, are drawn where the document asks for one, so that
submitted scans come to be.
"""

import json
import os
from datetime import datetime
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

from tests import pictures

KEY_ID = "SCHEMA_TEST_KEY_ID"
PATIENT_ID = "SCHEMA_TEST_PATIENT_ID"
# What a schema can't say of a request that it allows: that a thing is there, or still to come.
_NOT_THERE = frozenset({"bad_cursor", "frame_out_of_range", "unknown_patient"})
_PAST = "`expires_at` must lie in the future"
# Long polls are tried elsewhere; here they would only take time.
_LONGEST_WAIT_S = 0.2

_PICTURES = [
    make(pictures.head(size=size, seed=seed))
    for make in (pictures.png, pictures.jpeg, pictures.dicom)
    for size, seed in ((32, 1), (96, 2), (131, 3))
]
schemathesis.openapi.format("brain-slice", st.sampled_from(_PICTURES))
_PATIENTS = st.one_of(st.just(os.environ.get(PATIENT_ID, "")), st.uuids().map(str))
schemathesis.openapi.format("patient-id", _PATIENTS)
_MOMENTS = st.datetimes(
    datetime(1901, 1, 1),  # noqa: DTZ001 - hypothesis takes naive bounds only
    datetime(9997, 1, 1),  # noqa: DTZ001
)
schemathesis.openapi.format("date-time", _MOMENTS.map(lambda moment: f"{moment.isoformat()}Z"))


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Draw pictures for every field that takes files, and patients and frames that are there."""
    for schema in raw_schema["components"]["schemas"].values():
        fields = schema.get("properties", {})
        files = [part for field in fields.values() for part in (field, field.get("items", {}))]
        files = [part for part in files if isinstance(part, dict) and "contentMediaType" in part]
        for file in files:
            file["format"] = "brain-slice"
        if files and "patient_id" in fields:
            fields["patient_id"]["format"] = "patient-id"
        if files and "frame" in fields:
            fields["frame"]["maximum"] = 1


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext,
    failure: Exception,
    case: schemathesis.Case[Any],
    response: schemathesis.Response,
) -> bool:
    """Drop what no schema can say.

    A well-formed request may name what is not there. An empty field of a form counts as left out,
    since pages send every field.
    """
    if isinstance(failure, RejectedPositiveData):
        problem = json.loads(response.content)
        return problem["code"] not in _NOT_THERE and not problem["detail"].startswith(_PAST)
    if isinstance(failure, AcceptedNegativeData):
        form = case.body if case.media_type == "multipart/form-data" else None
        return not (isinstance(form, dict) and "" in form.values())
    return True


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Spare what the run itself uses: its key, that of the stack's owner, and its patient."""
    spared = {
        "/v1/keys/{key_id}": (os.environ[KEY_ID], "local"),
        "/v1/patients/{patient_id}": (os.environ[PATIENT_ID],),
    }
    ids = (case.path_parameters or {}).values()
    return case.method != "DELETE" or not set(ids) & set(spared.get(case.path, ()))


@schemathesis.hook
def map_query(context: schemathesis.HookContext, query: dict[str, Any]) -> dict[str, Any]:
    """Wait for moments only."""
    if query and isinstance(query.get("wait"), int | float) and 0 <= query["wait"] <= 30:
        query["wait"] = min(query["wait"], _LONGEST_WAIT_S)
    return query
