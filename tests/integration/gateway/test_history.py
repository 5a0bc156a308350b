"""A patient's history: pages and a trend over all of them, both by acquisition."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import Session, col

from neuroscan.contracts.enums import Plane, Role, TumorClass
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.problems import BadCursor
from services.gateway.auth.principal import Principal
from services.gateway.db.tables import Scan
from services.gateway.paging import encode_position
from services.gateway.patients import repository
from services.gateway.patients.history import History
from services.gateway.patients.service import PatientService
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans.service import ScanService
from tests import pictures
from tests.integration.gateway.access import caller, code_of, make_key
from tests.integration.gateway.calls import new_patient, newest_scan, submit
from tests.integration.gateway.ledger import add_patient, add_scan, complete

READER = Principal("key:reader", Role.CLINICIAN)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def scan_of(pipeline: Pipeline, patient_id: str, day: int, plane: Plane = Plane.AXIAL) -> str:
    """A completed scan that was acquired on this day."""
    scan_id = add_scan(pipeline.engine)
    complete(pipeline.engine, scan_id)
    geometry = Geometry(row_mm=0.5, column_mm=0.5, plane=plane).model_dump(mode="json")
    acquired_at = FIRST + timedelta(days=day)
    values = {"patient_id": patient_id, "geometry": geometry, "acquired_at": acquired_at}
    with Session(pipeline.engine) as session:
        session.execute(update(Scan).where(col(Scan.id) == scan_id).values(values))
        session.commit()
    return scan_id


def all_pages(pipeline: Pipeline, patient_id: str) -> list[History]:
    """The whole history, two scans a page."""
    patients = PatientService(pipeline, ScanService(pipeline))
    pages = list[History]()
    while not pages or pages[-1].next_cursor:
        cursor = pages[-1].next_cursor if pages else None
        answer = patients.history(patient_id, READER, cursor=cursor, limit=2)
        pages.append(History.model_validate_json(answer))
    return pages


def test_the_pages_are_in_the_order_of_acquisition(pipeline: Pipeline) -> None:
    patient_id = add_patient(pipeline.engine)
    # Of three of one day the newest comes first; one whose day is not known counts by its arrival.
    by_day = [(day, scan_of(pipeline, patient_id, day)) for day in (3, 1, 1, 0, 1, 2)]
    unknown = add_scan(pipeline.engine, patient_id=patient_id, created_at=FIRST + timedelta(days=9))
    add_scan(pipeline.engine)
    shown = [item.id for page in all_pages(pipeline, patient_id) for item in page.items]
    assert shown == [unknown, *(scan_id for _, scan_id in sorted(by_day, reverse=True))]


@pytest.mark.parametrize(
    "position", [["yesterday", "0" * 32], ["2026-01-01", "7"], ["0" * 32]], ids=str
)
def test_a_cursor_that_is_not_ours_is_refused(pipeline: Pipeline, position: list[str]) -> None:
    patient_id = add_patient(pipeline.engine)
    cursor = encode_position(position, {"list": "history", "patient_id": patient_id})
    with pytest.raises(BadCursor):
        ScanService(pipeline).history(patient_id, READER, cursor=cursor, limit=2)


def test_the_trend_is_the_same_on_every_page_and_covers_all_of_them(pipeline: Pipeline) -> None:
    patient_id = add_patient(pipeline.engine)
    # They arrive in another order than they were acquired in.
    by_day = {day: scan_of(pipeline, patient_id, day) for day in (3, 1, 4, 0, 2)}
    scan_of(pipeline, patient_id, 9, Plane.CORONAL)
    add_scan(pipeline.engine, patient_id=patient_id)
    pages = all_pages(pipeline, patient_id)
    trends = [page.trend for page in pages]
    assert len(pages) == 4
    assert all(trend == trends[0] for trend in trends)
    assert trends[0].plane is Plane.AXIAL
    assert [point.scan_id for point in trends[0].points] == [by_day[day] for day in range(5)]


def test_the_trend_keeps_the_newest_by_acquisition(pipeline: Pipeline) -> None:
    patient_id = add_patient(pipeline.engine)
    by_day = {day: scan_of(pipeline, patient_id, day) for day in (2, 0, 1)}
    with Session(pipeline.engine) as session:
        found = repository.trend_scans(session, patient_id, 2)
    assert {scan.scan_id for scan in found} == {by_day[1], by_day[2]}


def test_a_point_holds_the_classes_that_are_possible(pipeline: Pipeline) -> None:
    patient_id = add_patient(pipeline.engine)
    scan_id = add_scan(pipeline.engine, patient_id=patient_id)
    complete(pipeline.engine, scan_id, TumorClass.MENINGIOMA, TumorClass.PITUITARY)
    patients = PatientService(pipeline, ScanService(pipeline))
    answer = patients.history(patient_id, READER, cursor=None, limit=1)
    (point,) = History.model_validate_json(answer).trend.points
    assert point.prediction_set == [TumorClass.MENINGIOMA, TumorClass.PITUITARY]


def test_a_submitter_may_not_send_a_scan_of_a_patient(api: httpx.Client) -> None:
    patient, before = new_patient(api), newest_scan(api)
    with caller(api, make_key(api, Role.SUBMITTER).key) as submitter:
        # Whether the patient is there or not: the answer must not tell.
        for patient_id in (patient["id"], "00000000-0000-7000-8000-000000000000"):
            answer = submit(submitter, pictures.png(), patient_id=patient_id)
            assert code_of(answer) == (403, "forbidden")
    assert newest_scan(api) == before
