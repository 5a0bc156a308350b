"""What the gateway's outermost layer counts of a request that no client sends."""

from types import SimpleNamespace
from uuid import UUID

import anyio
import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from prometheus_client import REGISTRY, generate_latest
from starlette.applications import Starlette

from services.gateway import middleware
from services.gateway.middleware import RequestEnvelope

ID = "01a223a9-d72b-7185-8fb5-6441681326da"
SERIES = "neuroscan_gateway_request_seconds_count"


@pytest.mark.parametrize("host", ["here", "elsewhere"])
def test_any_word_for_a_method_counts_as_other(host: str) -> None:
    labels = {"method": "_OTHER", "route": "unmatched"}
    before = REGISTRY.get_sample_value(SERIES, labels) or 0
    anyio.run(ask, host, ["WORD1", "WORD2", "WORD3", "GET"])
    assert REGISTRY.get_sample_value(SERIES, labels) == before + 3
    assert REGISTRY.get_sample_value(SERIES, {**labels, "method": "GET"})
    assert b"WORD" not in generate_latest()


async def ask(host: str, methods: list[str]) -> None:
    app = httpx.ASGITransport(app=RequestEnvelope(Starlette(), ("here",)))
    async with httpx.AsyncClient(transport=app, base_url=f"http://{host}") as client:
        for method in methods:
            assert (await client.request(method, "/v1/scans")).is_error


def strange_paths() -> FastAPI:
    """Routes that refuse before they have looked at what the path holds."""
    app = FastAPI()

    def refuse() -> None:
        raise HTTPException(403)

    @app.get("/v1/patients/{patient_id}/export", dependencies=[Depends(refuse)])
    async def export(patient_id: UUID) -> None:
        """Nobody comes here."""

    @app.get("/v1/scans/{scan_id}")
    async def read(scan_id: UUID) -> None:
        """Anybody comes here."""

    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "logged"),
    [
        ("GET", "/v1/patients/Jane%20Doe/export", 403, "/v1/patients/{patient_id}/export"),
        ("PUT", "/v1/scans/Jane%20Doe", 405, "/v1/scans/{scan_id}"),
        ("GET", "/v1/scans/Jane%20Doe", 422, "/v1/scans/{scan_id}"),
        ("GET", f"/v1/patients/{ID}/export", 403, f"/v1/patients/{ID}/export"),
        ("PUT", f"/v1/scans/{ID}", 405, f"/v1/scans/{ID}"),
        ("GET", f"/v1/scans/{ID}", 200, f"/v1/scans/{ID}"),
        ("GET", "/Jane%20Doe", 404, "unmatched"),
    ],
)
def test_a_path_is_logged_only_where_it_names_nobody(
    method: str, path: str, status: int, logged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, object]] = []
    spans: list[tuple[object, ...]] = []

    def log(_level: int, _event: str, **fields: object) -> None:
        lines.append(fields)

    monkeypatch.setattr(middleware, "log", SimpleNamespace(log=log))
    monkeypatch.setattr(middleware, "note_answer", lambda *facts: spans.append(facts))
    app = httpx.ASGITransport(app=RequestEnvelope(strange_paths(), ("here",)))

    async def call() -> int:
        async with httpx.AsyncClient(transport=app, base_url="http://here") as client:
            return (await client.request(method, path)).status_code

    assert anyio.run(call) == status
    assert [line["path"] for line in lines] == [logged]
    # Traces and metrics have the route in any case.
    assert "Jane" not in str(spans)
    assert b"Jane" not in generate_latest()
