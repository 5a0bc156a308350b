"""A broker of the test's own, and a pipeline over its own database and store."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from neuroscan.imaging.pool import DecodePool
from neuroscan.settings import BrokerSettings, GatewaySettings
from neuroscan.storage import Storage
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.clients import InferenceClient, ReportsClient
from services.gateway.pipeline.publish import Publisher
from tests.integration.gateway.batch_forms import Desk
from tests.integration.gateway.broker import Broker

# Nothing listens there.
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def pipeline(engine: Engine, tmp_path: Path) -> Iterator[Pipeline]:
    settings = GatewaySettings(inference_url=NOWHERE, reports_url=NOWHERE)
    broker = BrokerSettings(broker_url=f"redis+socket://{tmp_path}/no-broker.sock")
    pipeline = Pipeline(
        engine=engine,
        storage=Storage((tmp_path / "objects").as_uri()),
        publisher=Publisher(broker, engine, timedelta(milliseconds=500)),
        inference=InferenceClient(settings),
        reports=ReportsClient(settings),
        settings=settings,
    )
    yield pipeline
    pipeline.publisher.close()
    pipeline.inference.close()
    pipeline.reports.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecodePool]:
    pool = DecodePool(1, 20, 2048)
    yield pool
    pool.close()


@pytest.fixture
def desk(pipeline: Pipeline, decoder: DecodePool) -> Desk:
    return Desk(pipeline, decoder)
