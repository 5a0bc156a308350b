"""What follows from a record, and the calls to the inner services."""

from pathlib import Path

import pytest

from neuroscan.settings import GatewaySettings
from neuroscan.stack import Stack
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.clients import InferenceClient, ReportsClient
from services.gateway.pipeline.record import Recorded


def test_unneeded_objects_go(pipeline: Pipeline) -> None:
    pipeline.storage.put("scans/1/explain/1-r/overlay.png", b"x")
    pipeline.storage.put("scans/1/slice.png", b"x")
    pipeline.follow(Recorded(discard="scans/1/explain/1-r"))
    assert pipeline.storage.list("scans") == ["scans/1/slice.png"]


def test_a_store_that_is_away_does_not_bring_a_message_back(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    (tmp_path / "objects").rename(tmp_path / "away")
    pipeline.follow(Recorded(discard="scans/1/explain/1-r"))


def test_inner_calls_pass_by_every_proxy(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    services = stack.state.services
    settings = GatewaySettings(
        inference_url=services["inference"].url or "", reports_url=services["reports"].url or ""
    )
    inference, reports = InferenceClient(settings), ReportsClient(settings)
    assert inference.ready()
    assert reports.ready()
    inference.close()
    reports.close()
