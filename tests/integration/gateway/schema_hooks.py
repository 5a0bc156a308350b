"""What schemathesis is told about this API (`SCHEMATHESIS_HOOKS`): what is there, what to spare.

Pictures are drawn where the document asks for files, and ids of things that are there beside others
where it asks for ids: else most requests would end before they reach what is to be tried.
"""

import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

from tests import pictures

# By the name of a parameter: the id of a thing that was made for the run, as JSON.
THINGS = "SCHEMA_TEST_THINGS"
# Nothing listens there; the stacks that are tried allow it.
_HOOK_URL = "http://127.0.0.1:9/neuroscan"
# What a schema can't say of a request that it allows: that a thing is there, is still to come, or
# goes with another.
_NOT_THERE = frozenset({"address_refused", "bad_cursor", "frame_out_of_range", "unknown_patient"})
_NOT_NOW = (
    "`expires_at` must lie in the future",
    "`agrees` must be true with",
    "`patient_id` is the batch's own",
)
# Long polls are tried elsewhere; here they would only take time.
_LONGEST_WAIT_S = 0.2

_things: dict[str, str] = json.loads(os.environ.get(THINGS, "{}"))
_PICTURES = [
    make(pictures.head(size=size, seed=seed))
    for make in (pictures.png, pictures.jpeg, pictures.dicom)
    for size, seed in ((32, 1), (96, 2), (131, 3))
]
_MOMENTS = st.datetimes(
    datetime(1901, 1, 1),  # noqa: DTZ001 - hypothesis takes naive bounds only
    datetime(9997, 1, 1),  # noqa: DTZ001
)
schemathesis.openapi.format("brain-slice", st.sampled_from(_PICTURES))
schemathesis.openapi.format("date-time", _MOMENTS.map(lambda moment: f"{moment.isoformat()}Z"))
# The only dates are those of birth, which are not to come.
schemathesis.openapi.format(
    "date", st.dates(date(1901, 1, 1), datetime.now(UTC).date()).map(date.isoformat)
)
schemathesis.openapi.format("hook-url", st.just(_HOOK_URL))
for _name, _id in _things.items():
    schemathesis.openapi.format(_name, st.one_of(st.just(_id), st.uuids().map(str)))


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Name the strategies of above in the document, as formats."""
    for operation in _operations(raw_schema):
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path" and parameter["name"] in _things:
                parameter["schema"]["format"] = parameter["name"]
        form = _form(raw_schema, operation)
        for field in (part for each in form.values() for part in (each, each.get("items", {}))):
            if "contentMediaType" in field or field.get("format") == "binary":
                field |= {"format": "brain-slice", "contentMediaType": "application/octet-stream"}
        # Five hundred files at once are tried elsewhere too.
        form.get("images", {}).pop("maxItems", None)
        if "patient_id" in form:
            form["patient_id"]["format"] = "patient_id"
        if "frame" in form:
            form["frame"]["maximum"] = 1
    raw_schema["components"]["schemas"]["WebhookCreate"]["properties"]["url"]["format"] = "hook-url"


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
        return problem["code"] not in _NOT_THERE and not problem["detail"].startswith(_NOT_NOW)
    if isinstance(failure, AcceptedNegativeData):
        form = case.body if case.media_type == "multipart/form-data" else None
        return not (isinstance(form, dict) and "" in form.values())
    return True


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Spare what was made for the run, and the key of the stack's owner."""
    ends = case.method == "DELETE" or case.path.endswith("/cancel")
    ids = (case.path_parameters or {}).values()
    return not ends or not {*ids} & {*_things.values(), "local"}


@schemathesis.hook
def map_query(context: schemathesis.HookContext, query: dict[str, Any]) -> dict[str, Any]:
    """Wait for moments only."""
    if query and isinstance(query.get("wait"), int | float) and 0 <= query["wait"] <= 30:
        query["wait"] = min(query["wait"], _LONGEST_WAIT_S)
    return query


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]
) -> None:
    """Send files after fields, as batches take them."""
    if isinstance(case.body, dict) and "images" in case.body:
        case.body["images"] = case.body.pop("images")


def _operations(raw_schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in raw_schema["paths"].values():
        yield from path.values()


def _form(raw_schema: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    """The fields of a multipart body; none for any other."""
    content = operation.get("requestBody", {}).get("content", {})
    form = content.get("multipart/form-data", {}).get("schema", {})
    if "$ref" in form:
        form = raw_schema["components"]["schemas"][form["$ref"].rpartition("/")[2]]
    fields: dict[str, Any] = form.get("properties", {})
    return fields
