"""The OpenAPI document, with what no single route says: who may call, what may always happen.

Roles come from each route's own `Requires`, so that the document can't say anything else.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from neuroscan.contracts import problems
from neuroscan.contracts.enums import Role
from neuroscan.contracts.problems import NeuroscanError
from services.gateway.auth.middleware import COOKIE, CSRF_HEADER, SAFE_METHODS
from services.gateway.auth.principal import Requires
from services.gateway.errors import describe_problems, header
from services.gateway.idempotency.claims import KEY_LENGTH_MAX, KEY_PATTERN

Json = dict[str, Any]

_SCHEMES: Json = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, as in `Authorization: Bearer nsk_…`",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "A page's session. Calls that change something also send the page's own "
        f"`Origin`, and `{CSRF_HEADER}` as `GET /v1/session` gives it.",
    },
}
# Whatever a route does, any request to it may end in one of these.
_ALWAYS = (
    problems.HostNotAllowed,
    problems.BadRequest,
    problems.Unauthenticated,
    problems.RequestTooLarge,
    problems.TooManyRequests,
    NeuroscanError,
    problems.Unavailable,
)
_CHANGING = (problems.CrossOrigin,)
_CHANGING_WITH_COOKIE = (problems.CsrfRejected,)


def complete_document(app: FastAPI) -> None:
    """Let the application's OpenAPI document tell all of it."""
    made = app.openapi

    def document() -> Json:
        if app.openapi_schema is None:
            schema = made()
            schema["components"]["securitySchemes"] = _SCHEMES
            # What FastAPI would answer to bad parameters; here that is a problem as any other.
            for unused in ("HTTPValidationError", "ValidationError"):
                schema["components"]["schemas"].pop(unused, None)
            for operation, method, role in _operations(app, schema):
                _complete(operation, method, role)
                _describe_text(schema, operation)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way


def _operations(app: FastAPI, schema: Json) -> Iterator[tuple[Json, str, Role | None]]:
    for context in iter_route_contexts(app.routes):
        if context.path_format not in schema["paths"]:
            continue
        (role,) = (
            each.call.role
            for each in context.dependant.dependencies
            if isinstance(each.call, Requires)
        )
        for method in context.methods or ():
            yield schema["paths"][context.path_format][method.lower()], method, role


def _complete(operation: Json, method: str, role: Role | None) -> None:
    operation["security"] = [{name: []} for name in _SCHEMES] if role else []
    if role is not None:
        operation["description"] += f"\n\nFor the role `{role}`" + (
            "." if role is list(Role)[-1] else " and above."
        )
    by_status: dict[str, list[type[NeuroscanError]]] = defaultdict(list)
    for problem in _possible(method, role):
        by_status[str(int(problem.status))].append(problem)
    answers = operation["responses"]
    if "422" in answers and "application/json" in answers["422"].get("content", {}):
        del answers["422"]
        by_status["422"].append(problems.InvalidRequest)
    for status, kinds in by_status.items():
        answers[status] = _also(answers.get(status), kinds)
    for status, name, what in (
        ("401", "WWW-Authenticate", "`Bearer`"),
        ("429", "Retry-After", "Seconds until it is worth another try"),
        ("503", "Retry-After", "Seconds until it is worth another try, where that is known"),
    ):
        answers[status].setdefault("headers", {})[name] = header(what)
    operation["responses"] = dict(sorted(answers.items()))


def _describe_text(schema: Json, operation: Json) -> None:
    """Say of what is sent as text what it may be.

    Never `null`: a parameter or a form's field is left out instead.
    """
    parameters = operation.get("parameters", [])
    for parameter in parameters:
        if parameter["name"] == "idempotency-key":
            parameter["schema"] |= {"maxLength": KEY_LENGTH_MAX, "pattern": KEY_PATTERN}
    fields = [parameter["schema"] for parameter in parameters]
    content = operation.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        form = content["multipart/form-data"]["schema"]
        if "$ref" in form:
            form = schema["components"]["schemas"][form["$ref"].rpartition("/")[2]]
        form["additionalProperties"] = False
        fields += form["properties"].values()
    for field in fields:
        kinds = [kind for kind in field.get("anyOf", []) if kind != {"type": "null"}]
        if len(kinds) == 1:
            field.update(kinds[0])
            del field["anyOf"]


def _possible(method: str, role: Role | None) -> Iterator[type[NeuroscanError]]:
    yield from _ALWAYS
    if method not in SAFE_METHODS:
        yield from _CHANGING
        if role is not None:
            yield from _CHANGING_WITH_COOKIE
    if role not in (None, Role.SUBMITTER):
        yield problems.Forbidden


def _also(answer: Json | None, kinds: list[type[NeuroscanError]]) -> Json:
    """The route's own answer with this status, and these problems beside its own."""
    ours = describe_problems(kinds)
    if answer is None:
        return ours
    own = answer["description"]
    added = [kind for kind in kinds if f"`{kind.code}`" not in own]
    description = f"{own}; {describe_problems(added)['description']}" if added else own
    content = answer.get("content", {}) | ours["content"]
    return answer | {"description": description, "content": content}
