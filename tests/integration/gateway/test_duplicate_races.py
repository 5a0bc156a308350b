"""Copies of one picture that come, and go, at the same moment as the first of them.

Transactions are held open by the test, so that the moment is certain.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from neuroscan.ids import new_id
from services.gateway.batches import repository as batches
from services.gateway.db.session import transaction
from services.gateway.db.tables import Scan
from services.gateway.patients.repository import delete_patient
from services.gateway.scans.repository import delete_scan, first_of_picture
from tests.integration.gateway.batch_forms import CLINICIAN, Desk, form, some
from tests.integration.gateway.ledger import add_patient, add_scan, scan_row
from tests.integration.gateway.locks import wait_blocked

PICTURE = "1" * 64
Meanwhile = Callable[..., Future[object]]


@pytest.fixture
def meanwhile() -> Iterator[Meanwhile]:
    """Does something in the background."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit


def bring(session: Session, patient_id: str, engine: Engine) -> str:
    """A copy of the picture, marked as an upload marks it."""
    other = scan_row(engine, add_scan(engine))
    first = first_of_picture(session, patient_id, PICTURE)
    fields = {"id": new_id(), "patient_id": patient_id, "duplicate_of": first}
    session.add(Scan(**other.model_dump() | fields))
    session.flush()
    return str(fields["id"])


def bring_alone(engine: Engine, patient_id: str) -> str:
    with transaction(engine) as session:
        return bring(session, patient_id, engine)


def delete_alone(engine: Engine, scan_id: str) -> bool:
    with transaction(engine) as session:
        return delete_scan(session, scan_id)


@pytest.mark.parametrize("with_copy", [False, True])
def test_a_copy_that_comes_while_the_first_goes(
    engine: Engine, meanwhile: Meanwhile, *, with_copy: bool
) -> None:
    patient_id = add_patient(engine)
    first = add_scan(engine, patient_id=patient_id)
    heir = add_scan(engine, patient_id=patient_id, duplicate_of=first) if with_copy else None
    with transaction(engine) as session:
        assert delete_scan(session, first)
        session.flush()
        brought = meanwhile(bring_alone, engine, patient_id)
        wait_blocked(engine)
    assert scan_row(engine, str(brought.result(10))).duplicate_of == heir


def test_the_first_that_goes_while_a_copy_comes_leaves_one_first(
    engine: Engine, meanwhile: Meanwhile
) -> None:
    patient_id = add_patient(engine)
    first = add_scan(engine, patient_id=patient_id)
    heir = add_scan(engine, patient_id=patient_id, duplicate_of=first)
    with transaction(engine) as session:
        brought = bring(session, patient_id, engine)
        deleted = meanwhile(delete_alone, engine, first)
        wait_blocked(engine)
    assert deleted.result(10)
    with transaction(engine) as session:
        marked = {scan.id: scan.duplicate_of for scan in session.exec(select(Scan))}
    assert marked.keys() >= {heir, brought}
    assert (marked[heir], marked[brought]) == (None, heir)


def test_a_scan_is_locked_before_its_copies(engine: Engine, meanwhile: Meanwhile) -> None:
    patient_id = add_patient(engine)
    first = add_scan(engine, patient_id=patient_id)
    copy = add_scan(engine, patient_id=patient_id, duplicate_of=first)
    with transaction(engine) as session:
        # In the order of ids, as new reports are asked for.
        session.get_one(Scan, first, with_for_update=True)
        deleted = meanwhile(delete_alone, engine, first)
        wait_blocked(engine)
        session.get_one(Scan, copy, with_for_update=True)
    assert deleted.result(10)
    assert scan_row(engine, copy).duplicate_of is None


def test_a_patient_s_scans_are_locked_in_the_order_of_ids(
    engine: Engine, meanwhile: Meanwhile
) -> None:
    patient_id = add_patient(engine)
    first = add_scan(engine, patient_id=patient_id)
    copy = add_scan(engine, patient_id=patient_id, duplicate_of=first)

    def delete() -> list[str] | None:
        with transaction(engine) as session:
            return delete_patient(session, patient_id)

    with transaction(engine) as session:
        session.get_one(Scan, first, with_for_update=True)
        deleted = meanwhile(delete)
        wait_blocked(engine)
        session.get_one(Scan, copy, with_for_update=True)
    assert deleted.result(10) == [first, copy]


def test_a_batch_is_locked_before_its_scans(desk: Desk, meanwhile: Meanwhile) -> None:
    engine = desk.pipeline.engine
    patient_id = add_patient(engine)
    sent = desk.send(form(some(1), patient_id=patient_id), by=CLINICIAN)
    first = desk.read(sent, CLINICIAN).items[0].scan_id
    assert sent.batch_id is not None
    assert first is not None
    with transaction(engine) as session:
        # As a request that takes back what it has brought.
        assert batches.lock(session, sent.batch_id)
        added = meanwhile(desk.send, form(some(1)), by=CLINICIAN, to=sent.batch_id)
        wait_blocked(engine)
        assert delete_scan(session, first)
    added.result(10)
    assert [item.scan_id != first for item in desk.read(sent, CLINICIAN).items] == [True]
