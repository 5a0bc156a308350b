"""A batch that is deleted: by its caller, by a bad end of its upload, by retention."""

from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
from sqlmodel import Session, col, select

from neuroscan.contracts.problems import InvalidRequest, NotFound, Unavailable
from neuroscan.ids import new_id
from services.gateway.batches import repository
from services.gateway.batches import service as batch_service
from services.gateway.db.session import transaction
from services.gateway.db.tables import Audit, Batch, BatchItem, Erasure, Scan
from services.gateway.maintenance.repository import delete_batches_before
from services.gateway.patients.repository import delete_patient
from services.gateway.pipeline import keys
from services.gateway.scans.service import ScanService
from tests.integration.gateway.batch_forms import (
    CLINICIAN,
    END,
    OTHER,
    SENDER,
    Desk,
    form,
    rows,
    some,
    text,
)
from tests.integration.gateway.ledger import add_patient, add_scan
from tests.integration.gateway.locks import wait_blocked

NO_PICTURE = ("Somebody.txt", b"no picture")


def deletions(desk: Desk) -> set[tuple[str, str | None]]:
    with transaction(desk.pipeline.engine) as session:
        noted = session.exec(select(Audit).where(Audit.action == "deleted"))
        return {(row.object_kind, row.object_id) for row in noted}


def orders(desk: Desk) -> set[str]:
    with transaction(desk.pipeline.engine) as session:
        return set(session.exec(select(Erasure.prefix)))


def test_a_deleted_batch_leaves_no_scan_no_object_and_no_file_name(desk: Desk) -> None:
    sent = desk.send(form([*some(2), NO_PICTURE]))
    kept = desk.send(form(some(1)))
    assert sent.batch_id is not None
    scan_ids = {item.scan_id for item in desk.read(sent).items if item.scan_id}
    desk.service.delete(sent.batch_id, SENDER)
    with pytest.raises(NotFound):
        desk.service.get(sent.batch_id, SENDER)
    with pytest.raises(NotFound):
        desk.service.delete(sent.batch_id, SENDER)
    assert [item.file for item in desk.read(kept).items] == ["slice 0.png"]
    left = desk.read(kept).items[0].scan_id
    storage = desk.pipeline.storage
    assert {key.split("/")[1] for key in storage.list(keys.SCANS)} == {left}
    assert (rows(desk, Scan), rows(desk, BatchItem), rows(desk, Batch)) == (1, 1, 1)
    assert deletions(desk) == {
        ("batch", sent.batch_id),
        *(("scan", scan_id) for scan_id in scan_ids),
    }


def test_only_who_sees_a_batch_deletes_it(desk: Desk) -> None:
    sent = desk.send(form(some(1)))
    assert sent.batch_id is not None
    with pytest.raises(NotFound):
        desk.service.delete(sent.batch_id, OTHER)
    assert desk.read(sent).total == 1
    desk.service.delete(sent.batch_id, CLINICIAN)
    with pytest.raises(NotFound):
        desk.read(sent)


def test_a_batch_of_scans_that_are_gone_can_be_deleted_for_its_file_names(desk: Desk) -> None:
    sent = desk.send(form([*some(1), NO_PICTURE]))
    scan_id = desk.read(sent).items[0].scan_id
    assert scan_id is not None
    assert sent.batch_id is not None
    ScanService(desk.pipeline).delete(scan_id, SENDER)
    assert [item.file for item in desk.read(sent).items] == ["Somebody.txt"]
    desk.service.delete(sent.batch_id, SENDER)
    assert rows(desk, BatchItem) == 0


def test_files_that_are_sent_to_a_batch_while_it_is_deleted_become_nothing(desk: Desk) -> None:
    sent = desk.send(form(some(1)))
    assert sent.batch_id is not None
    adding = desk.upload(to=sent.batch_id)
    desk.service.delete(sent.batch_id, SENDER)
    with pytest.raises(NotFound):
        anyio.run(desk.run, adding, form(some(2)))
    assert (rows(desk, Scan), rows(desk, BatchItem)) == (0, 0)
    assert desk.pipeline.storage.list(keys.SCANS) == []


def test_what_is_sent_again_with_the_key_of_a_deleted_batch_makes_another(desk: Desk) -> None:
    sent = desk.send(form(some(2)), key="k")
    assert sent.batch_id is not None
    desk.service.delete(sent.batch_id, SENDER)
    again = desk.send(form(some(2)), key="k")
    assert (again.replayed, again.batch_id == sent.batch_id) == (False, False)
    assert desk.read(again).total == 2


def test_objects_that_take_long_are_left_to_the_sweeper(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = desk.send(form(some(2)))
    assert sent.batch_id is not None
    scan_ids = [item.scan_id for item in desk.read(sent).items]
    monkeypatch.setattr(batch_service, "IN_REQUEST_S", -1.0)
    desk.service.delete(sent.batch_id, SENDER)
    stored = {key.split("/")[1] for key in desk.pipeline.storage.list(keys.SCANS)}
    assert stored == set(scan_ids)
    assert orders(desk) == {f"batches/{sent.batch_id}", *(f"scans/{one}" for one in scan_ids)}


def test_a_store_that_is_away_is_asked_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = desk.send(form(some(3)))
    assert sent.batch_id is not None
    asked = []

    def away(prefix: str) -> None:
        asked.append(prefix)
        raise Unavailable("away")

    monkeypatch.setattr(desk.pipeline.storage, "delete_prefix", away)
    desk.service.delete(sent.batch_id, SENDER)
    assert len(asked) == 1
    assert len(orders(desk)) == 4


def test_names_of_files_that_were_taken_back_do_not_come_back_with_a_restore(desk: Desk) -> None:
    # Of the second nothing is known before the field that is too late.
    off = [*form([NO_PICTURE, NO_PICTURE])[:-1], text("notes", "late"), END]
    with pytest.raises(InvalidRequest):
        desk.send(off)
    assert rows(desk, Batch) == 0
    [(kind, batch_id)] = deletions(desk)
    assert kind == "batch"
    assert orders(desk) == {f"batches/{batch_id}"}


def old_batch(desk: Desk) -> str:
    """An empty batch that came before what comes next."""
    with transaction(desk.pipeline.engine) as session:
        batch = Batch(owner=SENDER.id)
        session.add(batch)
        session.flush()
        return batch.id


def test_retention_remembers_the_batches_that_it_deletes(desk: Desk) -> None:
    batch_id = old_batch(desk)
    with transaction(desk.pipeline.engine) as session:
        assert delete_batches_before(session, new_id(), 10) == [batch_id]
    assert orders(desk) == {f"batches/{batch_id}"}


def test_retention_leaves_a_batch_that_a_scan_has_just_come_to(desk: Desk) -> None:
    engine, batch_id = desk.pipeline.engine, old_batch(desk)
    scan_id = add_scan(engine)

    def retain() -> list[str]:
        with transaction(engine) as session:
            return delete_batches_before(session, new_id(), 10)

    with Session(engine) as bringing, ThreadPoolExecutor(1) as threads:
        assert repository.lock(bringing, batch_id)
        bringing.get_one(Scan, scan_id).batch_id = batch_id
        bringing.flush()
        retained = threads.submit(retain)
        wait_blocked(engine)
        bringing.commit()
        assert retained.result() == []
    with transaction(engine) as session:
        assert session.get_one(Scan, scan_id).batch_id == batch_id


def test_a_patient_and_one_of_the_batches_are_deleted_at_the_same_time(desk: Desk) -> None:
    engine, patient_id = desk.pipeline.engine, add_patient(desk.pipeline.engine)
    sent = desk.send(form(some(2), patient_id=patient_id), by=CLINICIAN)
    assert sent.batch_id is not None

    def erase_patient() -> list[str] | None:
        with transaction(engine) as session:
            return delete_patient(session, patient_id)

    with Session(engine) as deleting, ThreadPoolExecutor(1) as threads:
        assert repository.lock(deleting, sent.batch_id)
        patient = threads.submit(erase_patient)
        wait_blocked(engine)
        # Would end in a deadlock if the patient's deletion held the scans by now.
        assert repository.delete_batch(deleting, sent.batch_id)
        deleting.commit()
        assert patient.result() == []
    with transaction(engine) as session:
        assert session.exec(select(Scan.id).where(col(Scan.patient_id) == patient_id)).all() == []
