"""A batch's request that breaks off, is sent again, or twice at the same time."""

from functools import partial

import anyio
import pytest
from starlette.requests import ClientDisconnect

from neuroscan.contracts.problems import (
    IdempotencyConflict,
    Unavailable,
)
from services.gateway.batches import upload as uploads
from services.gateway.db.tables import Scan
from tests.integration.gateway.batch_forms import (
    PICTURES,
    Desk,
    form,
    rows,
    some,
)


def test_what_came_before_the_connection_broke_stays_and_is_not_brought_again(desk: Desk) -> None:
    whole = form(some(5), notes="first try")
    broken = desk.upload(key="k")
    with pytest.raises(ClientDisconnect):
        # The third file is cut in the middle.
        anyio.run(partial(desk.run, broken, [*whole[:3], whole[3][:150]], breaks=True))
    assert broken.batch_id is not None
    before = desk.read(broken)
    assert before.total == 2
    again = desk.send(whole, key="k")
    assert again.replayed
    after = desk.read(again)
    assert after.id == before.id
    assert after.items[:2] == before.items
    assert [item.file for item in after.items] == [name for name, _ in some(5)]
    third = desk.send(whole, key="k")
    assert desk.read(third) == after
    assert rows(desk, Scan) == 5


def test_a_request_without_a_key_makes_a_batch_each_time(desk: Desk) -> None:
    first, second = desk.send(form(some(1))), desk.send(form(some(1)))
    assert first.batch_id != second.batch_id
    assert not second.replayed


def test_a_key_with_another_file_at_a_place_is_refused(desk: Desk) -> None:
    sent = desk.send(form(some(3)), key="k")
    files = [*some(1), ("slice 1.png", PICTURES[9])]
    with pytest.raises(IdempotencyConflict, match="File 2"):
        desk.send(form(files), key="k")
    assert desk.read(sent).total == 3


def test_a_key_with_other_fields_is_refused(desk: Desk) -> None:
    desk.send(form(some(1), reference="1"), key="k")
    with pytest.raises(IdempotencyConflict):
        desk.send(form(some(1), reference="2"), key="k")
    assert rows(desk, Scan) == 1


def test_simultaneous_requests_with_one_key_make_one_batch(desk: Desk) -> None:
    requests = [desk.upload(key="k") for _ in range(3)]

    async def send_all() -> None:
        async with anyio.create_task_group() as tasks:
            for request in requests:
                tasks.start_soon(desk.run, request, form(some(6)))

    anyio.run(send_all)
    assert len({request.batch_id for request in requests}) == 1
    batch = desk.read(requests[0])
    assert [item.file for item in batch.items] == [name for name, _ in some(6)]
    assert rows(desk, Scan) == 6
    stored = {key.split("/")[1] for key in desk.pipeline.storage.list("scans")}
    assert stored == {item.scan_id for item in batch.items}


def test_keys_of_the_two_calls_have_nothing_to_do_with_each_other(desk: Desk) -> None:
    first = desk.send(form(some(1)), key="k")
    more = desk.send(form([("other.png", PICTURES[5])]), to=first.batch_id, key="k")
    assert not more.replayed
    assert desk.read(first).total == 2
    second = desk.send(form(some(1)))
    with pytest.raises(IdempotencyConflict):
        desk.send(form([("other.png", PICTURES[5])]), to=second.batch_id, key="k")


def test_a_store_that_is_away_ends_the_request_and_the_rest_comes_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_PATIENCE_S", 0.1)
    put, calls = desk.pipeline.storage.put, 0

    def put_six(key: str, content: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls > 6:
            raise Unavailable
        put(key, content)

    with monkeypatch.context() as patch:
        patch.setattr(desk.pipeline.storage, "put", put_six)
        upload = desk.upload(key="k")
        with pytest.raises(Unavailable):
            anyio.run(partial(desk.run, upload, form(some(4))))
    assert desk.read(upload).total == 2
    assert desk.read(desk.send(form(some(4)), key="k")).total == 4
    assert rows(desk, Scan) == 4


def test_a_server_that_stops_takes_no_further_file(desk: Desk) -> None:
    upload = desk.upload(key="k")
    upload._stopping = lambda: desk_has(2)

    def desk_has(count: int) -> bool:
        return rows(desk, Scan) >= count

    with pytest.raises(Unavailable):
        anyio.run(partial(desk.run, upload, form(some(5))))
    assert desk.read(upload).total == 2
