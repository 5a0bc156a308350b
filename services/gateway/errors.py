"""Every error leaves as problem details, and stands in the OpenAPI document."""

from collections import defaultdict
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from prometheus_client import Counter
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from neuroscan.contracts.problems import (
    BadRequest,
    InvalidRequest,
    MethodNotAllowed,
    NeuroscanError,
    NotFound,
)
from neuroscan.serving import PROBLEM_MEDIA_TYPE, problem_response
from neuroscan.telemetry import get_logger

log = get_logger(__name__)

PROBLEMS = Counter("neuroscan_gateway_problems", "Problems that routes answered with.", ["code"])

# OpenAPI responses by status, as FastAPI takes them.
Responses = dict[int | str, dict[str, Any]]


class BodyRefused(HTTPException):
    """More bytes came than the call takes, or fewer than its form announces.

    Raised while the body is read, where only Starlette's own error passes the form parser.
    """

    def __init__(self, refusal: NeuroscanError) -> None:
        super().__init__(int(refusal.status))
        self.refusal = refusal


def responses(*errors: type[NeuroscanError]) -> Responses:
    """The OpenAPI responses of a route that can raise these."""
    by_status: dict[int, list[type[NeuroscanError]]] = defaultdict(list)
    for error in errors:
        by_status[int(error.status)].append(error)
    return {status: describe_problems(kinds) for status, kinds in by_status.items()}


def describe_problems(kinds: Sequence[type[NeuroscanError]]) -> dict[str, Any]:
    """One OpenAPI response for problems of the same status."""
    description = "; ".join(f"`{kind.code}`: {kind.title}" for kind in kinds)
    # By reference, since a `model` would be listed as plain JSON too; the scan brings the schema.
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {PROBLEM_MEDIA_TYPE: {"schema": schema}}}


def header(description: str) -> dict[str, Any]:
    """An OpenAPI header of a response."""
    return {"description": description, "schema": {"type": "string"}}


def install(app: FastAPI) -> None:
    """Handle our own errors, FastAPI's validation and Starlette's HTTP errors."""
    app.add_exception_handler(NeuroscanError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, NeuroscanError)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request.failed", code=error.code)
    return _counted(error, request)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # The values stay out: they may name a person.
    reasons = [
        f"{'.'.join(str(part) for part in each['loc'][1:]) or each['loc'][0]}: {each['msg']}"
        for each in error.errors()
    ]
    return _counted(InvalidRequest("; ".join(reasons)), request)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if isinstance(error, BodyRefused):
        return _counted(error.refusal, request)
    kinds: dict[int, type[NeuroscanError]] = {
        HTTPStatus.NOT_FOUND: NotFound,
        HTTPStatus.METHOD_NOT_ALLOWED: MethodNotAllowed,
    }
    kind = kinds.get(error.status_code, BadRequest)
    ours = kind(None if kind is not BadRequest else str(error.detail))
    answer = problem_response(ours, request.url.path)
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(sorted(_allowed(request)))
    return answer


def _counted(error: NeuroscanError, request: Request) -> JSONResponse:
    PROBLEMS.labels(error.code).inc()
    return problem_response(error, request.url.path)


def _allowed(request: Request) -> set[str]:
    """The methods of every route on the path; Starlette knows those of the first."""
    allowed: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        if route.methods and route.path and compile_path(route.path)[0].match(request.url.path):
            allowed |= route.methods
    return allowed
