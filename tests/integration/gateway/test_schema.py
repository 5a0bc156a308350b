"""The OpenAPI document says exactly what the gateway does; `make schema` tries it for longer."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from neuroscan.contracts.enums import Role
from services.gateway.app import create_app
from tests.integration.gateway.routes import Route, all_routes
from tests.integration.gateway.schema import SEED, try_document

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = create_app().openapi()
    return made


@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing(api: httpx.Client, tmp_path: Path) -> None:
    found = try_document(api, tmp_path, per_operation=5, seed=SEED)
    assert found.failures == [], found.output
    assert found.complete, found.output
    # A few hundred requests, and pictures among them that became scans.
    assert found.cases > 300, found.output
    assert found.accepted_uploads > 3, found.output


@pytest.mark.parametrize("route", [each for each in all_routes() if each.documented], ids=str)
def test_the_document_says_who_may_call(document: dict[str, Any], route: Route) -> None:
    path = route.path.replace(":uuid}", "}")
    operation = document["paths"][path][route.method.lower()]
    if route.role is None:
        assert operation["security"] == []
        return
    assert operation["security"] == [{"key": []}, {"session": []}]
    assert f"`{route.role}`" in operation["description"]
    refused = {"401"} if route.role is Role.SUBMITTER else {"401", "403"}
    for status in refused:
        assert PROBLEM in operation["responses"][status]["content"]


def test_other_methods_are_told_which_are_there(api: httpx.Client) -> None:
    for path, methods in (
        ("/v1/scans", {"GET", "POST"}),
        ("/v1/session", {"DELETE", "GET", "POST"}),
        ("/v1/patients/search", {"POST"}),
    ):
        answer = api.put(path)
        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
        assert set(answer.headers["Allow"].split(", ")) == methods
