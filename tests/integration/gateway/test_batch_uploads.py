"""Files on their way into a batch, on a real ledger and store."""

from collections.abc import Iterator
from functools import partial

import anyio
import pytest
from sqlalchemy import func
from sqlmodel import SQLModel, col, select
from starlette.requests import ClientDisconnect

from neuroscan.contracts.enums import StageName
from neuroscan.contracts.problems import (
    Forbidden,
    IdempotencyConflict,
    InvalidRequest,
    NeuroscanError,
    NotFound,
    TooManyFiles,
    Unavailable,
    UnknownPatient,
)
from neuroscan.ids import new_id
from neuroscan.imaging.pool import DecodePool
from services.gateway.batches import upload as uploads
from services.gateway.batches.place import Limits
from services.gateway.batches.upload import Caller
from services.gateway.db.session import transaction
from services.gateway.db.tables import Audit, Batch, BatchItem, IdempotencyKey, Patient, Scan
from services.gateway.pipeline.assembly import Pipeline
from tests import pictures
from tests.integration.gateway.batch_forms import (
    CLINICIAN,
    END,
    OTHER,
    SENDER,
    Desk,
    Files,
    file,
    form,
    text,
)
from tests.integration.gateway.ledger import stage_row

PICTURES = [pictures.png(pictures.head(size=64, seed=seed)) for seed in range(12)]


@pytest.fixture(scope="module")
def decoder() -> Iterator[DecodePool]:
    pool = DecodePool(1, 20, 2048)
    yield pool
    pool.close()


@pytest.fixture
def desk(pipeline: Pipeline, decoder: DecodePool) -> Desk:
    return Desk(pipeline, decoder)


def some(count: int) -> Files:
    return [(f"slice {number}.png", PICTURES[number]) for number in range(count)]


def rows(desk: Desk, table: type[SQLModel]) -> int:
    with transaction(desk.pipeline.engine) as session:
        return session.exec(select(func.count()).select_from(table)).one()


def audited(desk: Desk) -> list[tuple[str, str, str | None]]:
    with transaction(desk.pipeline.engine) as session:
        noted = session.exec(select(Audit).order_by(col(Audit.at)))
        return [(row.action, row.object_kind, row.object_id) for row in noted]


def add_patient(desk: Desk, number: str = "MRN-1") -> str:
    patient = Patient(medical_record_number=number)
    with transaction(desk.pipeline.engine) as session:
        session.add(patient)
    return patient.id


def assert_nothing_was_made(desk: Desk) -> None:
    assert [rows(desk, table) for table in (Batch, BatchItem, Scan, IdempotencyKey)] == [0] * 4
    assert desk.pipeline.storage.list("scans") == []


def test_items_keep_the_order_of_the_files(desk: Desk) -> None:
    sent = desk.send(form(some(5), reference="series-3", display_convention="radiological"))
    batch = desk.read(sent)
    assert [(item.position, item.file) for item in batch.items] == [
        (number, f"slice {number}.png") for number in range(5)
    ]
    assert (batch.total, batch.by_state.received, batch.done) == (5, 5, False)
    with transaction(desk.pipeline.engine) as session:
        for item in batch.items:
            scan = session.get_one(Scan, item.scan_id)
            assert (scan.owner, scan.batch_id) == (SENDER.id, batch.id)
            assert (scan.reference, scan.request_id) == ("series-3", "request-1")
            assert scan.geometry["orientation"]["source"] == "declared"


def test_batch_scans_are_classified_from_the_queue(desk: Desk) -> None:
    batch = desk.read(desk.send(form(some(1))))
    scan_id = batch.items[0].scan_id
    assert scan_id is not None
    assert stage_row(desk.pipeline.engine, scan_id, StageName.CLASSIFY).state == "queued"


def test_one_bad_file_of_twelve_fails_alone(desk: Desk) -> None:
    files = list(some(12))
    files[7] = ("notes.txt", b"not a picture")
    batch = desk.read(desk.send(form(files)))
    assert (batch.total, batch.by_state.received, batch.by_state.refused) == (12, 11, 1)
    bad = batch.items[7]
    assert (bad.file, bad.scan_id, bad.state) == ("notes.txt", None, "refused")
    assert bad.problem is not None
    assert bad.problem.code == "not_an_image"
    assert rows(desk, Scan) == 11


def test_a_batch_of_bad_files_only_is_done(desk: Desk) -> None:
    batch = desk.read(desk.send(form([("a", b""), ("b", PICTURES[0][:200])])))
    assert batch.done
    assert [item.problem and item.problem.code for item in batch.items] == [
        "empty_file",
        "truncated_image",
    ]


def test_a_file_that_is_too_large_fails_alone(desk: Desk) -> None:
    files = [("a.png", PICTURES[0]), ("big.png", bytes(33 << 20)), ("b.png", PICTURES[1])]
    batch = desk.read(desk.send(form(files)))
    assert [item.problem and item.problem.code for item in batch.items] == [
        None,
        "file_too_large",
        None,
    ]


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


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([*form(some(2))[:-1], text("notes", "late"), END], "before the first file"),
        ([text("patientid", "x"), *form(some(1))], "unknown field"),
        ([file("a.png", PICTURES[0], "image"), END], "unknown field"),
        ([file("a.png", PICTURES[0], "notes"), END], "as text"),
        ([text("images", "x"), END], "filename"),
        ([text("notes", "1"), text("notes", "2"), *form(some(1))], "more than once"),
        ([text("frame", "-1"), *form(some(1))], "frame"),
        ([text("pixel_spacing_mm", "0"), *form(some(1))], "pixel_spacing_mm"),
        ([text("notes", "x" * 70_000), *form(some(1))], "too long"),
        ([text("notes", "a\0b"), *form(some(1))], "null character"),
        ([text("notes", "nothing else"), END], "at least one file"),
        ([END], "at least one file"),
        ([], "ends before"),
        (form(some(3))[:-1], "ends before"),
        ([b"no form at all"], "multipart"),
        ([*form(some(1))[:-1], b"--frontier\r\nno header\r\n", END], "multipart"),
    ],
)
def test_a_form_that_is_off_makes_nothing(desk: Desk, pieces: list[bytes], said: str) -> None:
    with pytest.raises(NeuroscanError, match=said) as raised:
        desk.send(pieces, key="k")
    assert raised.value.code in ("invalid_request", "bad_request")
    assert_nothing_was_made(desk)


def test_values_of_bad_fields_are_not_repeated(desk: Desk) -> None:
    with pytest.raises(InvalidRequest) as raised:
        desk.send(form(some(1), acquired_at="Secretname"))
    assert "Secretname" not in raised.value.detail


def test_a_bad_end_takes_back_only_what_its_own_request_brought(desk: Desk) -> None:
    first = desk.send(form(some(2)))
    with pytest.raises(InvalidRequest):
        desk.send([*form(some(4))[:-1], text("notes", "late"), END], to=first.batch_id)
    assert desk.read(first).total == 2
    assert rows(desk, Scan) == 2
    assert ("deleted", "batch", first.batch_id) not in audited(desk)


def test_too_many_files_are_refused_and_those_before_stay(desk: Desk) -> None:
    desk.limits = Limits(files=3)
    upload = desk.upload()
    with pytest.raises(TooManyFiles):
        anyio.run(partial(desk.run, upload, form(some(5))))
    assert desk.read(upload).total == 3
    with pytest.raises(TooManyFiles):
        desk.send(form([("b.png", PICTURES[8])]), to=upload.batch_id)


def test_too_many_bytes_are_refused_and_the_whole_batch_counts(desk: Desk) -> None:
    first = desk.send(form(some(2)))
    desk.limits = Limits(bytes=sum(map(len, PICTURES[:3])))
    more = [("3", PICTURES[2]), ("4", PICTURES[3])]
    with pytest.raises(TooManyFiles):
        desk.send(form(more), to=first.batch_id)
    assert desk.read(first).total == 3


def test_files_that_are_too_many_from_the_first_on_make_nothing(desk: Desk) -> None:
    desk.limits = Limits(bytes=10)
    with pytest.raises(TooManyFiles):
        desk.send(form(some(1)), key="k")
    assert_nothing_was_made(desk)


def test_items_are_added_behind_those_that_are_there(desk: Desk) -> None:
    first = desk.send(form(some(2)))
    for _ in range(2):
        more = desk.send(form(some(3)[2:]), to=first.batch_id, key="more")
    assert more.replayed
    batch = desk.read(first)
    assert [(item.position, item.file) for item in batch.items] == [
        (0, "slice 0.png"),
        (1, "slice 1.png"),
        (2, "slice 2.png"),
    ]


def test_keys_of_the_two_calls_have_nothing_to_do_with_each_other(desk: Desk) -> None:
    first = desk.send(form(some(1)), key="k")
    more = desk.send(form([("other.png", PICTURES[5])]), to=first.batch_id, key="k")
    assert not more.replayed
    assert desk.read(first).total == 2
    second = desk.send(form(some(1)))
    with pytest.raises(IdempotencyConflict):
        desk.send(form([("other.png", PICTURES[5])]), to=second.batch_id, key="k")


def test_every_scan_belongs_to_the_batch_s_patient(desk: Desk) -> None:
    patient_id, another = add_patient(desk), add_patient(desk, "MRN-2")
    wrong = pictures.dicom(patient_number="MRN-2")
    files = [*some(1), ("wrong.dcm", wrong)]
    sent = desk.send(form(files, patient_id=patient_id))
    desk.send(form(some(2)[1:]), to=sent.batch_id)
    with pytest.raises(InvalidRequest, match="batch's own"):
        desk.send(form(some(1), patient_id=another), to=sent.batch_id)
    batch = desk.read(sent)
    assert batch.patient_id == patient_id
    assert [item.problem and item.problem.code for item in batch.items] == [
        None,
        "patient_mismatch",
        None,
    ]
    with transaction(desk.pipeline.engine) as session:
        assert {scan.patient_id for scan in session.exec(select(Scan))} == {patient_id}


def test_an_unknown_patient_makes_nothing(desk: Desk) -> None:
    with pytest.raises(UnknownPatient):
        desk.send(form([("bad", b"")], patient_id=new_id()), key="k")
    assert_nothing_was_made(desk)


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


def test_a_batch_is_not_there_for_another_submitter(desk: Desk) -> None:
    sent = desk.send(form(some(1)))
    assert sent.batch_id is not None
    service = desk.service
    for call in (service.get, service.version, service.results, service.reports):
        with pytest.raises(NotFound):
            call(sent.batch_id, OTHER)
    with pytest.raises(NotFound):
        service.more(sent.batch_id, Caller(OTHER, "r", None), stopping=lambda: False)
    assert service.list(OTHER, cursor=None, limit=10).items == []
    assert service.get(sent.batch_id, CLINICIAN)[0].total == 1
    assert service.list(CLINICIAN, cursor=None, limit=10).items[0].id == sent.batch_id
    with pytest.raises(Forbidden):
        service.more(sent.batch_id, Caller(CLINICIAN, "r", None), stopping=lambda: False)


def test_lists_go_on_where_the_cursor_says(desk: Desk) -> None:
    made = [desk.send(form([*some(1), ("bad", b"")])).batch_id for _ in range(3)]
    first = desk.service.list(SENDER, cursor=None, limit=2)
    rest = desk.service.list(SENDER, cursor=first.next_cursor, limit=2)
    assert [batch.id for batch in first.items + rest.items] == made[::-1]
    assert rest.next_cursor is None
    summary = first.items[0]
    assert (summary.total, summary.by_state.received, summary.by_state.refused) == (2, 1, 1)
    assert not summary.done


def test_batches_and_scans_are_in_the_audit(desk: Desk) -> None:
    sent = desk.send(form(some(1)))
    desk.send(form(some(2)[1:]), to=sent.batch_id)
    scans = [item.scan_id for item in desk.read(sent).items]
    desk.read(sent)
    noted = audited(desk)
    assert noted.count(("created", "batch", sent.batch_id)) == 1
    assert noted.count(("changed", "batch", sent.batch_id)) == 1
    assert noted.count(("read", "batch", sent.batch_id)) == 1
    for scan_id in scans:
        assert noted.count(("created", "scan", scan_id)) == 1
        assert noted.count(("read", "scan", scan_id)) == 1


def test_the_version_changes_with_items_and_their_scans(desk: Desk) -> None:
    sent = desk.send(form(some(2)))
    assert sent.batch_id is not None
    versions = [desk.service.version(sent.batch_id, SENDER)[0]]
    desk.send(form([("bad", b"")]), to=sent.batch_id)
    versions.append(desk.service.version(sent.batch_id, SENDER)[0])
    scan_id = desk.read(sent).items[0].scan_id
    with transaction(desk.pipeline.engine) as session:
        session.get_one(Scan, scan_id).version += 1
    versions.append(desk.service.version(sent.batch_id, SENDER)[0])
    with transaction(desk.pipeline.engine) as session:
        session.delete(session.get_one(Scan, scan_id))
    versions.append(desk.service.version(sent.batch_id, SENDER)[0])
    assert len(set(versions)) == 4
    assert desk.service.version(sent.batch_id, SENDER)[0] == versions[-1]
