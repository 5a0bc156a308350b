"""What the gateway's outermost layer counts of a request that no client sends."""

import anyio
import httpx
import pytest
from prometheus_client import REGISTRY, generate_latest
from starlette.applications import Starlette

from services.gateway.middleware import RequestEnvelope

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
