"""What a stream tells, from a scan's or a batch's first event to its last."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from neuroscan.contracts.access import KeyCreate
from neuroscan.contracts.batch import ByState
from neuroscan.contracts.enums import Role, ScanState, StageName
from neuroscan.contracts.problems import NotFound
from neuroscan.contracts.scan import ScanView
from neuroscan.stack import Stack
from services.gateway.auth.principal import Principal
from services.gateway.batches.repository import delete_batch
from services.gateway.db.session import make_engine, transaction
from services.gateway.db.tables import Audit, Batch, BatchItem, Scan, ScanEvent, Stage, now
from services.gateway.events import stream as streams
from services.gateway.events.changes import Watch
from services.gateway.events.feeds import BatchFeed, Reading, ScanFeed
from services.gateway.pipeline import record, steering
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.ledger import StageRef
from services.gateway.pipeline.results import classified
from services.gateway.scans.repository import delete_scan
from services.gateway.scans.service import ScanService
from tests import pictures
from tests.integration.gateway.calls import submit
from tests.integration.gateway.ledger import add_scan, inference_result
from tests.integration.gateway.own_gateway import own_gateway
from tests.integration.gateway.sse import Event, follow, parse

BY = Principal("key:test", Role.SUBMITTER)
STRANGER = Principal("key:other", Role.SUBMITTER)


@pytest.fixture
def service(pipeline: Pipeline) -> ScanService:
    return ScanService(pipeline)


def feed_of(service: ScanService, engine: Engine, scan_id: str, by: Principal = BY) -> ScanFeed:
    return ScanFeed(engine, service, scan_id, by)


def classify(engine: Engine, scan_id: str) -> None:
    ref = StageRef(scan_id, StageName.CLASSIFY)
    with transaction(engine) as session:
        stage = session.get_one(Stage, (scan_id, "", StageName.CLASSIFY))
        record.record(session, classified(ref, stage.input_digest, inference_result()))


def cancel(engine: Engine, scan_id: str) -> None:
    with transaction(engine) as session:
        steering.cancel(session, scan_id)


def names(reading: Reading) -> list[str]:
    return [told.event for told in reading.told]


def sequences(reading: Reading) -> list[int]:
    return [told.sequence for told in reading.told]


def audited(engine: Engine) -> int:
    with Session(engine) as session:
        return len(session.exec(select(Audit)).all())


def test_a_scan_is_shown_then_its_changes_then_its_end(
    engine: Engine, service: ScanService
) -> None:
    scan_id = add_scan(engine)
    feed = feed_of(service, engine, scan_id)
    begun = feed.begin(None)
    assert names(begun) == ["snapshot"]
    assert isinstance(begun.told[0].data, ScanView)
    assert feed.read() == Reading([], over=False)
    classify(engine, scan_id)
    changed = feed.read()
    assert names(changed) == ["change"]
    data = changed.told[0].data.model_dump()
    assert data.keys() == {"sequence", "version", "state", "track", "stage", "stage_state", "at"}
    assert (data["version"], data["state"], data["stage"]) == (2, "classified", "classify")
    assert feed.read().told == []
    cancel(engine, scan_id)
    ended = feed.read()
    assert (names(ended), ended.over) == (["change", "end"], True)
    assert ended.told[1].sequence == ended.told[0].sequence
    assert ended.told[1].data.model_dump()["state"] == "canceled"


def test_who_comes_back_gets_what_was_missed_and_no_snapshot(
    engine: Engine, service: ScanService
) -> None:
    scan_id = add_scan(engine)
    classify(engine, scan_id)
    (seen,) = sequences(feed_of(service, engine, scan_id).begin(None))
    nothing = feed_of(service, engine, scan_id).begin(seen)
    assert nothing == Reading([], over=False)
    assert not streams.nothing_left(nothing)
    cancel(engine, scan_id)
    missed = feed_of(service, engine, scan_id).begin(seen)
    assert (names(missed), missed.over) == (["change", "end"], True)
    assert missed.told[0].sequence > seen
    assert streams.nothing_left(feed_of(service, engine, scan_id).begin(missed.told[-1].sequence))
    # An id of some other stream loses nothing of this one.
    other = add_scan(engine)
    feed = feed_of(service, engine, other)
    assert feed.begin(10**9) == Reading([], over=False)
    classify(engine, other)
    assert names(feed.read()) == ["change"]


def test_a_scan_that_is_over_is_shown_with_its_end(engine: Engine, service: ScanService) -> None:
    scan_id = add_scan(engine)
    cancel(engine, scan_id)
    begun = feed_of(service, engine, scan_id).begin(None)
    assert (names(begun), begun.over) == (["snapshot", "end"], True)


def test_only_who_may_see_a_scan_follows_it(engine: Engine, service: ScanService) -> None:
    scan_id = add_scan(engine)
    for last in (None, 0):
        with pytest.raises(NotFound):
            feed_of(service, engine, scan_id, STRANGER).begin(last)
    assert audited(engine) == 0
    feed = feed_of(service, engine, scan_id)
    feed.begin(None)
    feed.read()
    assert audited(engine) == 1


def told_in(chunks: list[bytes]) -> list[Event]:
    return list(parse(iter(b"".join(chunks).decode().splitlines())))


def test_a_quiet_stream_is_kept_alive_by_comments(engine: Engine, service: ScanService) -> None:
    scan_id = add_scan(engine)
    feed = feed_of(service, engine, scan_id)

    async def listen() -> list[bytes]:
        watch = Watch(lambda: False)
        return [
            chunk
            async for chunk in streams.stream(
                feed, watch, feed.begin(None), comment_every_s=0.2, lifetime_s=0.7
            )
        ]

    events = told_in(asyncio.run(listen()))
    assert events[0].name == "snapshot"
    assert len(events) > 2
    assert all(event.comment is not None and not event.name for event in events[1:])
    assert streams.COMMENT_EVERY_S == 15


def test_a_stream_closes_when_its_scan_is_deleted(engine: Engine, service: ScanService) -> None:
    scan_id = add_scan(engine)
    feed = feed_of(service, engine, scan_id)

    async def listen() -> list[bytes]:
        begun = feed.begin(None)
        with transaction(engine) as session:
            delete_scan(session, scan_id)
        return [chunk async for chunk in streams.stream(feed, Watch(lambda: False), begun)]

    assert [event.name for event in told_in(asyncio.run(listen()))] == ["snapshot"]


def add_batch(engine: Engine, scans: int, refused: int = 0) -> tuple[str, list[str]]:
    """A batch of files; returns its id and its scans'."""
    ids = [add_scan(engine) for _ in range(scans)]
    with transaction(engine) as session:
        batch = Batch(owner=BY.id)
        session.add(batch)
        session.flush()
        for position, scan_id in enumerate([*ids, *[None] * refused]):
            session.add(
                BatchItem(
                    batch_id=batch.id,
                    position=position,
                    upload="u",
                    upload_index=position,
                    file="f",
                    size=1,
                    sha256="0",
                    scan_id=scan_id,
                )
            )
            if scan_id is not None:
                scan = session.get_one(Scan, scan_id)
                scan.batch_id = batch.id
                session.add(scan)
    return batch.id, ids


def test_a_batch_ends_with_its_last_scan(engine: Engine) -> None:
    batch_id, (first, second) = add_batch(engine, 2, refused=1)
    feed = BatchFeed(engine, batch_id, BY)
    begun = feed.begin(None)
    assert names(begun) == ["snapshot"]
    shown = begun.told[0].data.model_dump(mode="json")
    assert (shown["id"], shown["total"]) == (batch_id, 3)
    assert ByState.model_validate(shown["by_state"]) == ByState(received=2, refused=1)
    cancel(engine, first)
    changed = feed.read()
    assert names(changed) == ["change"]
    data = changed.told[0].data.model_dump()
    assert (data["scan_id"], data["state"]) == (first, "canceled")
    classify(engine, second)
    cancel(engine, second)
    ended = feed.read()
    assert (names(ended), ended.over) == (["change", "change", "end"], True)
    end = ended.told[-1].data.model_dump(mode="json")
    assert ByState.model_validate(end["by_state"]) == ByState(canceled=2, refused=1)
    last = sequences(ended)[-1]
    assert streams.nothing_left(BatchFeed(engine, batch_id, BY).begin(last))
    missed = BatchFeed(engine, batch_id, BY).begin(sequences(changed)[-1])
    # The newest ten seconds come again; nothing is left out.
    assert set(sequences(missed)) == set(sequences(changed)) | set(sequences(ended))
    with pytest.raises(NotFound):
        BatchFeed(engine, batch_id, STRANGER).begin(None)


def test_a_stream_closes_when_its_batch_is_deleted(engine: Engine) -> None:
    batch_id, _ = add_batch(engine, 2)
    feed = BatchFeed(engine, batch_id, BY)

    async def listen() -> list[bytes]:
        begun = feed.begin(None)
        with transaction(engine) as session:
            assert delete_batch(session, batch_id)
        return [chunk async for chunk in streams.stream(feed, Watch(lambda: False), begun)]

    assert [event.name for event in told_in(asyncio.run(listen()))] == ["snapshot"]


def test_a_batch_of_refused_files_is_over(engine: Engine) -> None:
    batch_id, _ = add_batch(engine, 0, refused=2)
    begun = BatchFeed(engine, batch_id, BY).begin(None)
    assert (names(begun), begun.over) == (["snapshot", "end"], True)
    assert streams.nothing_left(BatchFeed(engine, batch_id, BY).begin(0))


def test_a_lower_sequence_that_is_committed_later_is_told(engine: Engine) -> None:
    batch_id, (first, second) = add_batch(engine, 2)
    feed = BatchFeed(engine, batch_id, BY)
    feed.begin(None)
    with Session(engine) as slow:
        slow.add(ScanEvent(scan_id=first, version=2, state=ScanState.CLASSIFIED))
        slow.flush()
        cancel(engine, second)
        higher = sequences(feed.read())
        slow.commit()
    lower = sequences(feed.read())
    assert lower == [higher[0] - 1]
    assert feed.read().told == []


def test_events_that_are_settled_are_not_read_again(engine: Engine) -> None:
    batch_id, (first, _) = add_batch(engine, 2)
    with transaction(engine) as session:
        for age_s in (60, 50, 40, 1):
            event = ScanEvent(scan_id=first, version=age_s, state=ScanState.RECEIVED)
            session.add(event_at(event, age_s))
            session.flush()
    feed = BatchFeed(engine, batch_id, BY)
    feed.begin(0)
    every = sequences(BatchFeed(engine, batch_id, BY).begin(0))
    assert len(every) == 4
    again = sequences(BatchFeed(engine, batch_id, BY).begin(every[-1]))
    assert again == every[-1:]


def event_at(event: ScanEvent, age_s: int) -> ScanEvent:
    event.at = now() - timedelta(seconds=age_s)
    return event


def test_a_scan_is_followed_over_http(api: httpx.Client) -> None:
    scan_id = submit(api, pictures.png()).json()["id"]
    path = f"/v1/scans/{scan_id}/events"
    events = [event for event in follow(api, path) if event.name]
    assert events[0].name == "snapshot"
    assert ScanView.model_validate(events[0].data).id == scan_id
    assert [event.name for event in events[1:-1]] == ["change"] * (len(events) - 2)
    assert events[-1].name == "end"
    assert events[-1].data["state"] == "completed"
    ids = [int(event.id) for event in events]
    assert ids == sorted(ids)
    versions = [event.data["version"] for event in events[:-1]]
    assert versions == list(range(versions[0], versions[-1] + 1))
    again = api.get(path, headers={"Last-Event-ID": events[-1].id})
    assert (again.status_code, again.content) == (204, b"")
    missed = follow(api, path, last=events[0].id)
    assert [(event.name, event.id) for event in missed] == [
        (event.name, event.id) for event in events[1:]
    ]


def test_odd_event_ids_are_refused(api: httpx.Client) -> None:
    scan_id = submit(api, pictures.png()).json()["id"]
    for last in ("x", "-1", "9" * 30, "1.5"):
        answer = api.get(f"/v1/scans/{scan_id}/events", headers={"Last-Event-ID": last})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    nobody = "01900000-0000-7000-8000-000000000000"
    for path in (f"/v1/scans/{nobody}/events", f"/v1/batches/{nobody}/events"):
        assert api.get(path).json()["code"] == "not_found"


def test_a_submitter_does_not_see_another_ones_stream(api: httpx.Client) -> None:
    scan_id = submit(api, pictures.png()).json()["id"]
    new = KeyCreate(name="stranger", role=Role.SUBMITTER).model_dump(mode="json")
    key = api.post("/v1/keys", json=new).json()["key"]
    answer = api.get(f"/v1/scans/{scan_id}/events", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.fixture
def at_work(stack: Stack) -> Iterator[str]:
    """A scan in the stack's ledger that a worker has in hand."""
    engine = make_engine(stack.state.database_url or "")
    scan_id = add_scan(engine, lease_until=now() + timedelta(hours=1))
    yield scan_id
    with transaction(engine) as session:
        delete_scan(session, scan_id)
    engine.dispose()


def test_a_gateway_that_ends_closes_its_streams_at_once(stack: Stack, at_work: str) -> None:
    with own_gateway(stack) as gateway, gateway.client() as client:
        with client.stream("GET", f"/v1/scans/{at_work}/events") as answer:
            events = parse(answer.iter_lines())
            assert next(events).name == "snapshot"
            gateway.terminate()
            began = time.monotonic()
            assert [event.name for event in events] == []
            assert time.monotonic() - began < 1
        assert gateway.ended_within(3)


def test_a_hundred_streams_leave_the_gateway_free(stack: Stack, at_work: str) -> None:
    path = f"/v1/scans/{at_work}/events"
    with own_gateway(stack) as gateway, gateway.client() as client, ExitStack() as open_streams:
        for _ in range(100):
            open_streams.enter_context(client.stream("GET", path))
        began = time.monotonic()
        assert client.get(f"/v1/scans/{at_work}").status_code == 200
        assert time.monotonic() - began < 2
        more = client.get(path)
        assert (more.status_code, more.json()["code"]) == (429, "too_many_requests")
        assert more.headers["Retry-After"] == "1"
        open_streams.close()
        ends = time.monotonic() + 5
        with client.stream("GET", path) as answer:
            status = answer.status_code
        while status == 429 and time.monotonic() < ends:
            with client.stream("GET", path) as answer:
                status = answer.status_code
        assert status == 200
