"""What a caller had begun ends with the caller's key or session, not when it would be over."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta

import anyio
import pytest
from sqlalchemy import Engine

from neuroscan.contracts.enums import Role
from neuroscan.contracts.problems import Unauthenticated
from services.gateway.auth.principal import Principal
from services.gateway.auth.repository import close_session, put_key, revoke_key
from services.gateway.batches.multipart import read_parts
from services.gateway.db.session import transaction
from services.gateway.db.tables import ApiKey, BrowserSession, Scan, now
from services.gateway.events.changes import Watch
from services.gateway.events.feeds import BatchFeed, Feed, ScanFeed
from services.gateway.events.stream import stream
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans.service import ScanService
from tests.integration.gateway.batch_forms import CONTENT_TYPE, Desk, form, rows, some
from tests.integration.gateway.ledger import add_scan


@dataclass
class Caller:
    """A caller who can be ended."""

    principal: Principal
    end: Callable[[], None]


@pytest.fixture(params=["key", "its session", "a session without a key"])
def caller(request: pytest.FixtureRequest, engine: Engine) -> Caller:
    """A caller with a key, or with a page's session: it ends by a sign-out."""
    kind: str = request.param
    key_id = None if kind == "a session without a key" else "short"
    owner = "key:short" if key_id else "oidc:short"
    mac = None if kind == "key" else "of the session"
    with transaction(engine) as session:
        put_key(
            session,
            ApiKey(id="short", name="short", role=Role.SUBMITTER, secret_mac="", created_by="test"),
        )
        if mac is not None:
            close_session(session, mac)
            expires = now() + timedelta(hours=1)
            session.add(
                BrowserSession(
                    token_mac=mac,
                    principal=owner,
                    role=Role.SUBMITTER,
                    key_id=key_id,
                    expires_at=expires,
                )
            )

    def end() -> None:
        with transaction(engine) as session:
            if mac is None:
                assert revoke_key(session, "short")
            else:
                close_session(session, mac)

    return Caller(Principal(owner, Role.SUBMITTER, key_id, mac), end)


@pytest.mark.parametrize("kind", ["scan", "batch"])
def test_a_stream_closes(
    engine: Engine, pipeline: Pipeline, desk: Desk, caller: Caller, kind: str
) -> None:
    feed: Feed
    by = caller.principal
    if kind == "scan":
        feed = ScanFeed(engine, ScanService(pipeline), add_scan(engine, owner=by.id), by)
    else:
        batch_id = desk.send(form(some(1)), by=by).batch_id
        assert batch_id is not None
        feed = BatchFeed(engine, batch_id, by)
    begun = feed.begin(None)
    assert not feed.read().over
    caller.end()
    with pytest.raises(Unauthenticated):
        feed.read()

    async def listen() -> list[bytes]:
        return [chunk async for chunk in stream(feed, Watch(lambda: False), begun)]

    # What it had begun with, and nothing else.
    assert len(asyncio.run(listen())) == len(begun.told)


def test_a_poll_that_has_waited_is_refused(
    engine: Engine, pipeline: Pipeline, desk: Desk, caller: Caller
) -> None:
    by = caller.principal
    scans, batches = ScanService(pipeline), desk.service
    scan_id, batch_id = add_scan(engine, owner=by.id), desk.send(form(some(1)), by=by).batch_id
    assert batch_id is not None
    assert scans.version(scan_id, by, anew=True) == scans.version(scan_id, by)
    assert batches.version(batch_id, by, anew=True) == batches.version(batch_id, by)
    caller.end()
    with pytest.raises(Unauthenticated):
        scans.version(scan_id, by, anew=True)
    with pytest.raises(Unauthenticated):
        batches.version(batch_id, by, anew=True)


def test_an_upload_takes_no_further_file(desk: Desk, caller: Caller) -> None:
    upload = desk.upload(by=caller.principal)

    async def pieces() -> AsyncIterator[bytes]:
        for number, piece in enumerate(form(some(5))):
            if number == 2:
                caller.end()
            yield piece

    async def send() -> None:
        await upload.run(read_parts(pieces(), CONTENT_TYPE))

    with pytest.raises(Unauthenticated):
        anyio.run(send)
    # The second is complete, and judged, when the third begins.
    assert rows(desk, Scan) == upload.files == 1
