"""Files on their way into a batch, on a real ledger and store."""

from functools import partial

import anyio
import pytest
from sqlmodel import Session, select

from neuroscan.contracts.enums import StageName
from neuroscan.contracts.problems import (
    Forbidden,
    InvalidRequest,
    NeuroscanError,
    TooManyFiles,
    Unavailable,
    UnknownPatient,
)
from neuroscan.ids import new_id
from services.gateway.auth.principal import Principal
from services.gateway.batches import upload
from services.gateway.batches.place import Limits
from services.gateway.db.session import transaction
from services.gateway.db.tables import Batch, BatchItem, IdempotencyKey, Patient, Scan
from tests import pictures
from tests.integration.gateway.batch_forms import (
    CLINICIAN,
    END,
    PICTURES,
    SENDER,
    Desk,
    file,
    form,
    rows,
    some,
    text,
)
from tests.integration.gateway.ledger import stage_row


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
    assert rows(desk, Batch) == 1


def test_a_picture_that_came_twice_is_taken_back_too(desk: Desk) -> None:
    files = [(f"{number}.png", PICTURES[0]) for number in range(4)]
    off = [*form(files, patient_id=add_patient(desk))[:-1], text("notes", "late"), END]
    with pytest.raises(InvalidRequest):
        desk.send(off, by=CLINICIAN)
    assert_nothing_was_made(desk)


def test_a_database_that_is_away_between_two_files_is_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([Unavailable("away"), Unavailable("away")])

    def come_back(_session: Session, _by: Principal) -> None:
        for error in left:
            raise error

    monkeypatch.setattr(upload, "require_live", come_back)
    assert desk.read(desk.send(form(some(2)))).total == 2


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


def test_every_scan_belongs_to_the_batch_s_patient(desk: Desk) -> None:
    patient_id, another = add_patient(desk), add_patient(desk, "MRN-2")
    wrong = pictures.dicom(patient_number="MRN-2")
    files = [*some(1), ("wrong.dcm", wrong)]
    sent = desk.send(form(files, patient_id=patient_id), by=CLINICIAN)
    desk.send(form(some(2)[1:]), to=sent.batch_id, by=CLINICIAN)
    with pytest.raises(InvalidRequest, match="batch's own"):
        desk.send(form(some(1), patient_id=another), to=sent.batch_id, by=CLINICIAN)
    batch = desk.read(sent, CLINICIAN)
    assert batch.patient_id == patient_id
    assert [item.problem and item.problem.code for item in batch.items] == [
        None,
        "patient_mismatch",
        None,
    ]
    with transaction(desk.pipeline.engine) as session:
        assert {scan.patient_id for scan in session.exec(select(Scan))} == {patient_id}


def test_a_submitter_may_not_name_a_patient_nor_learn_who_is_one(desk: Desk) -> None:
    for patient_id in (add_patient(desk), new_id()):
        with pytest.raises(Forbidden):
            desk.send(form(some(2), patient_id=patient_id), key="k")
    assert_nothing_was_made(desk)


def test_an_unknown_patient_makes_nothing(desk: Desk) -> None:
    with pytest.raises(UnknownPatient):
        desk.send(form([("bad", b"")], patient_id=new_id()), key="k", by=CLINICIAN)
    assert_nothing_was_made(desk)
