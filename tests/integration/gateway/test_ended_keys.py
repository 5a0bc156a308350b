"""What a caller had begun ends with the caller's key, not when it would have been over."""

import asyncio
from collections.abc import AsyncIterator

import anyio
import pytest
from sqlalchemy import Engine

from neuroscan.contracts.enums import Role
from neuroscan.contracts.problems import Unauthenticated
from services.gateway.auth.principal import Principal
from services.gateway.auth.repository import put_key, revoke_key
from services.gateway.batches.multipart import read_parts
from services.gateway.db.session import transaction
from services.gateway.db.tables import ApiKey, Scan
from services.gateway.events.changes import Watch
from services.gateway.events.feeds import BatchFeed, Feed, ScanFeed
from services.gateway.events.stream import stream
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans.service import ScanService
from tests.integration.gateway.batch_forms import CONTENT_TYPE, Desk, form, rows, some
from tests.integration.gateway.ledger import add_scan

BY = Principal("key:short", Role.SUBMITTER, key_id="short")


@pytest.fixture(autouse=True)
def key(engine: Engine) -> None:
    """A key that the test may end."""
    row = ApiKey(id="short", name="short", role=BY.role, secret_mac="", created_by="test")
    with transaction(engine) as session:
        put_key(session, row)


def end_key(engine: Engine) -> None:
    with transaction(engine) as session:
        assert revoke_key(session, "short")


@pytest.mark.parametrize("kind", ["scan", "batch"])
def test_a_stream_closes(engine: Engine, pipeline: Pipeline, desk: Desk, kind: str) -> None:
    feed: Feed
    if kind == "scan":
        feed = ScanFeed(engine, ScanService(pipeline), add_scan(engine, owner=BY.id), BY)
    else:
        batch_id = desk.send(form(some(1)), by=BY).batch_id
        assert batch_id is not None
        feed = BatchFeed(engine, batch_id, BY)
    begun = feed.begin(None)
    assert not feed.read().over
    end_key(engine)
    with pytest.raises(Unauthenticated):
        feed.read()

    async def listen() -> list[bytes]:
        return [chunk async for chunk in stream(feed, Watch(lambda: False), begun)]

    # What it had begun with, and nothing else.
    assert len(asyncio.run(listen())) == len(begun.told)


def test_a_poll_that_has_waited_is_refused(engine: Engine, pipeline: Pipeline, desk: Desk) -> None:
    scans, batches = ScanService(pipeline), desk.service
    scan_id, batch_id = add_scan(engine, owner=BY.id), desk.send(form(some(1)), by=BY).batch_id
    assert batch_id is not None
    assert scans.version(scan_id, BY, anew=True) == scans.version(scan_id, BY)
    assert batches.version(batch_id, BY, anew=True) == batches.version(batch_id, BY)
    end_key(engine)
    with pytest.raises(Unauthenticated):
        scans.version(scan_id, BY, anew=True)
    with pytest.raises(Unauthenticated):
        batches.version(batch_id, BY, anew=True)


def test_an_upload_takes_no_further_file(engine: Engine, desk: Desk) -> None:
    upload = desk.upload(by=BY)

    async def pieces() -> AsyncIterator[bytes]:
        for number, piece in enumerate(form(some(5))):
            if number == 2:
                end_key(engine)
            yield piece

    async def send() -> None:
        await upload.run(read_parts(pieces(), CONTENT_TYPE))

    with pytest.raises(Unauthenticated):
        anyio.run(send)
    # The second is complete, and judged, when the third begins.
    assert rows(desk, Scan) == upload.files == 1
