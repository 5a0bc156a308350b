"""Scans are accepted at once while inference does not answer, and lose no attempt by it."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from neuroscan.contracts.enums import Role, StageName, StageState
from neuroscan.contracts.messages import RecorderTask
from neuroscan.imaging.pool import DecodePool
from services.gateway.auth.principal import Principal
from services.gateway.db.session import transaction
from services.gateway.db.tables import Stage, now
from services.gateway.pipeline import own_stages
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.breaker import FAILURES_MAX
from services.gateway.pipeline.clients import InferenceClient
from services.gateway.scans.intake import Intake, Sender
from tests.integration.gateway.ledger import stage_row
from tests.integration.gateway.uploads import upload

SENDER = Sender(Principal("key:test", Role.SUBMITTER), "r")
LIMIT = timedelta(seconds=1)


@pytest.fixture
def silent(pipeline: Pipeline) -> Iterator[Pipeline]:
    """A pipeline whose inference takes calls and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        settings = pipeline.settings.model_copy(
            update={"inference_url": url, "inline_classify_limit": LIMIT}
        )
        inference = InferenceClient(settings)
        yield replace(pipeline, inference=inference, settings=settings)
        inference.close()


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecodePool]:
    decoder = DecodePool(1, 20, 2048)
    decoder.warm_up()
    yield decoder
    decoder.close()


def test_the_call_in_line_is_given_up_for_a_while(
    silent: Pipeline, decoder: DecodePool, tmp_path: Path
) -> None:
    intake = Intake(silent, decoder)

    def submit() -> tuple[str, float]:
        began = time.monotonic()
        made = intake.submit(upload(), key=None, sender=SENDER)
        return made.scan_id, time.monotonic() - began

    slow = [submit() for _ in range(FAILURES_MAX)]
    scan_id, elapsed_s = submit()
    assert all(each_s > LIMIT.total_seconds() for _, each_s in slow)
    assert elapsed_s < LIMIT.total_seconds()
    for each in (*(each for each, _ in slow), scan_id):
        stage = stage_row(silent.engine, each, StageName.CLASSIFY)
        assert (stage.state, stage.attempt, stage.problem) == (StageState.QUEUED, 1, None)

    began = time.monotonic()
    classify_from_queue(silent, scan_id)
    assert time.monotonic() - began < LIMIT.total_seconds()
    stage = stage_row(silent.engine, scan_id, StageName.CLASSIFY)
    assert (stage.state, stage.attempt, stage.problem) == (StageState.QUEUED, 1, None)
    assert stage.available_at > now()


def classify_from_queue(pipeline: Pipeline, scan_id: str) -> None:
    """What the recorder does with the stage's message."""
    with transaction(pipeline.engine) as session:
        stage = session.get_one(Stage, (scan_id, "", StageName.CLASSIFY))
        stage.published_at = now()
        session.add(stage)
        task = RecorderTask(
            scan_id=scan_id,
            attempt=stage.attempt,
            input_digest=stage.input_digest,
            request_id="r",
            prefix="scans/x",
            stage=StageName.CLASSIFY,
        )
    own_stages.classify(pipeline, task)
