"""A report is made anew when what it prints of patient or reader has changed."""

import io
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pypdf import PdfReader
from sqlalchemy import Engine

from neuroscan.contracts.enums import Role, ScanState, StageName, StageState
from neuroscan.contracts.patient import PatientCreate, PatientUpdate
from neuroscan.contracts.problems import StageFailed
from neuroscan.stack import Stack
from neuroscan.storage import Storage
from services.gateway.auth.principal import Principal
from services.gateway.db.session import transaction
from services.gateway.db.tables import OWN_TRACK, Patient, Scan, Stage, now
from services.gateway.patients.service import PatientService
from services.gateway.pipeline import record, renewal, steering
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.ledger import StageRef
from services.gateway.pipeline.messages import stage_message
from services.gateway.pipeline.own_stages import printed_patient
from services.gateway.pipeline.record import Recorded, StageResult
from services.gateway.pipeline.renewal import renew_reports
from services.gateway.scans.artefacts import Artefact
from services.gateway.scans.service import ScanService
from tests import pictures
from tests.integration.gateway.calls import new_patient, submit, wait_final
from tests.integration.gateway.ledger import (
    add_patient,
    add_scan,
    classified_scan,
    completed_scan,
    fail_for_good,
    finish,
    scan_row,
    stage_row,
)

REPORT = StageName.REPORT
LEASE = timedelta(seconds=30)
BY = Principal(id="key:test", role=Role.CLINICIAN)


def renew(engine: Engine, *scan_ids: str) -> None:
    with transaction(engine) as session:
        renew_reports(session, scan_ids)


def send(engine: Engine, scan_id: str, track: str) -> None:
    with transaction(engine) as session:
        session.get_one(Stage, (scan_id, track, REPORT)).published_at = now()


def begin(engine: Engine, scan_id: str, track: str) -> str:
    """The recorder starts on a report; returns the digest that its result will carry."""
    send(engine, scan_id, track)
    with transaction(engine) as session:
        stage = record.start(session, StageRef(scan_id, REPORT, track), 1, LEASE)
        assert stage is not None
        return stage.input_digest


def end(engine: Engine, scan_id: str, track: str, digest: str, version: int) -> Recorded:
    """The recorder has made a report."""
    prefix = f"scans/{scan_id}/report/{version}"
    output = {"key": f"{prefix}/report.pdf", "sha256": f"{version}" * 64, "version": version}
    ref = StageRef(scan_id, REPORT, track)
    with transaction(engine) as session:
        return record.record(session, StageResult(ref, output, digest, prefix, "2"))


def reported_scan(engine: Engine) -> str:
    """A scan whose first report is being made."""
    scan_id = classified_scan(engine)
    for name in (StageName.EXPLAIN, StageName.MEASURE):
        finish(engine, scan_id, name)
    return scan_id


def finished_scan(engine: Engine) -> str:
    """A completed scan with a report that lies somewhere."""
    scan_id = reported_scan(engine)
    digest = begin(engine, scan_id, OWN_TRACK)
    end(engine, scan_id, OWN_TRACK, digest, 1)
    assert scan_row(engine, scan_id).state == ScanState.COMPLETED
    return scan_id


def own_report(engine: Engine, scan_id: str) -> Stage:
    return stage_row(engine, scan_id, REPORT)


def renewed(engine: Engine, scan_id: str) -> Stage:
    return stage_row(engine, scan_id, REPORT, scan_id)


def test_old_report_stays_until_the_new_one_takes_its_place(engine: Engine) -> None:
    scan_id = finished_scan(engine)
    before = scan_row(engine, scan_id)
    renew(engine, scan_id)
    waiting = scan_row(engine, scan_id)
    assert (waiting.state, waiting.version) == (ScanState.COMPLETED, before.version + 1)
    assert renewed(engine, scan_id).state == StageState.QUEUED
    assert (own_report(engine, scan_id).output or {})["version"] == 1
    digest = begin(engine, scan_id, scan_id)
    assert end(engine, scan_id, scan_id, digest, 2) == Recorded(discard=f"scans/{scan_id}/report/1")
    own, after = own_report(engine, scan_id), scan_row(engine, scan_id)
    assert own.output == renewed(engine, scan_id).output
    assert (own.output or {})["version"] == 2
    assert (own.prefix, own.state) == (f"scans/{scan_id}/report/2", StageState.DONE)
    assert (after.state, after.version) == (ScanState.COMPLETED, waiting.version + 2)


def test_a_second_change_adds_a_third_version(engine: Engine) -> None:
    scan_id = finished_scan(engine)
    for version in (2, 3):
        renew(engine, scan_id)
        digest = begin(engine, scan_id, scan_id)
        recorded = end(engine, scan_id, scan_id, digest, version)
        assert recorded.discard == f"scans/{scan_id}/report/{version - 1}"
    assert (own_report(engine, scan_id).output or {})["version"] == 3


def test_changes_while_the_stage_waits_are_one_report(engine: Engine) -> None:
    scan_id = finished_scan(engine)
    renew(engine, scan_id)
    first = (renewed(engine, scan_id).input_digest, scan_row(engine, scan_id).version)
    renew(engine, scan_id)
    assert (renewed(engine, scan_id).input_digest, scan_row(engine, scan_id).version) == first


@pytest.mark.parametrize("first", [True, False], ids=["first report", "later report"])
def test_a_report_that_is_being_made_is_begun_again(engine: Engine, first: bool) -> None:
    scan_id = reported_scan(engine) if first else finished_scan(engine)
    track = OWN_TRACK if first else scan_id
    if not first:
        renew(engine, scan_id)
    stale = begin(engine, scan_id, track)
    renew(engine, scan_id)
    # What was made of the old data is dropped, with its object.
    assert end(engine, scan_id, track, stale, 8) == Recorded(discard=f"scans/{scan_id}/report/8")
    assert stage_row(engine, scan_id, REPORT, track).state == StageState.QUEUED
    fresh = begin(engine, scan_id, track)
    end(engine, scan_id, track, fresh, 9)
    assert (own_report(engine, scan_id).output or {})["version"] == 9
    assert scan_row(engine, scan_id).state == ScanState.COMPLETED


def test_a_first_report_that_still_waits_is_left_alone(engine: Engine) -> None:
    scan_id = reported_scan(engine)
    version = scan_row(engine, scan_id).version
    renew(engine, scan_id)
    assert scan_row(engine, scan_id).version == version
    assert own_report(engine, scan_id).state == StageState.QUEUED


def test_scans_without_a_report_are_left_alone(engine: Engine) -> None:
    received, canceled, failed = add_scan(engine), add_scan(engine), reported_scan(engine)
    with transaction(engine) as session:
        steering.cancel(session, canceled)
    fail_for_good(engine, StageRef(failed, REPORT))
    ids = (received, canceled, failed)
    versions = [scan_row(engine, scan_id).version for scan_id in ids]
    renew(engine, *ids, "01998c1e-0000-7000-8000-000000000099")
    assert [scan_row(engine, scan_id).version for scan_id in ids] == versions


def test_failure_leaves_scan_and_old_report_and_is_tried_again(engine: Engine) -> None:
    scan_id = finished_scan(engine)
    renew(engine, scan_id)
    fail_for_good(engine, StageRef(scan_id, REPORT, scan_id))
    assert renewed(engine, scan_id).state == StageState.FAILED
    assert (renewed(engine, scan_id).problem or {})["code"] == StageFailed.code
    assert scan_row(engine, scan_id).state == ScanState.COMPLETED
    assert (own_report(engine, scan_id).output or {})["version"] == 1
    with transaction(engine) as session:
        assert steering.retry(session, scan_id) == [StageRef(scan_id, REPORT, scan_id)]
    assert scan_row(engine, scan_id).state == ScanState.COMPLETED
    fail_for_good(engine, StageRef(scan_id, REPORT, scan_id))
    renew(engine, scan_id)
    stage = renewed(engine, scan_id)
    assert (stage.state, stage.attempt, stage.problem) == (StageState.QUEUED, 1, None)


def test_renewal_waits_in_the_batch_twin(engine: Engine) -> None:
    scan_id = finished_scan(engine)
    renew(engine, scan_id)
    with transaction(engine) as session:
        message = stage_message(session, StageRef(scan_id, REPORT, scan_id))
    assert message is not None
    assert message.queue == "report.batch"
    assert message.task.prefix == f"scans/{scan_id}/{scan_id}/report/1"


def test_many_scans_are_renewed_in_portions(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "_AT_ONCE", 2)
    ids = [finished_scan(engine) for _ in range(5)]
    renew(engine, *ids)
    assert {renewed(engine, scan_id).state for scan_id in ids} == {StageState.QUEUED}


def test_only_what_is_printed_of_the_patient_renews_only_his_reports(pipeline: Pipeline) -> None:
    engine = pipeline.engine
    patients = PatientService(pipeline, ScanService(pipeline))
    patient = patients.create(PatientCreate(medical_record_number="1", name="Ada"), BY)
    his, other = completed_scan(engine), completed_scan(engine)
    with transaction(engine) as session:
        session.get_one(Scan, his).patient_id = patient.id
    before = [scan_row(engine, scan_id).version for scan_id in (his, other)]
    for unprinted in (PatientUpdate(notes="x"), PatientUpdate(name="Ada"), PatientUpdate()):
        patients.change(patient.id, unprinted, BY)
    assert [scan_row(engine, scan_id).version for scan_id in (his, other)] == before
    patients.change(patient.id, PatientUpdate(name="Ada Lovelace"), BY)
    assert renewed(engine, his).state == StageState.QUEUED
    assert scan_row(engine, other).version == before[1]


def test_changed_patient_has_a_new_report_and_the_old_one_is_deleted(
    api: httpx.Client, stack: Stack
) -> None:
    patient = new_patient(api, name="Before Change")
    scan = submit(api, pictures.png(), patient_id=patient["id"]).json()
    scan = wait_final(api, scan["id"])
    assert scan["report"]["version"] == 1
    url = scan["report"]["href"]
    old = api.get(url)
    assert "Before Change" in text(old)
    changed = api.patch(f"/v1/patients/{patient['id']}", json={"name": "After Change"})
    assert changed.status_code == 200
    deadline = time.monotonic() + 60
    newest = api.get(f"/v1/scans/{scan['id']}").json()
    while newest["report"]["version"] == 1:
        assert time.monotonic() < deadline
        assert newest["state"] == "completed"
        assert "Change" in text(api.get(url))
        time.sleep(0.2)
        newest = api.get(f"/v1/scans/{scan['id']}").json()
    new = api.get(url, headers={"If-None-Match": old.headers["etag"]})
    assert new.status_code == 200
    assert new.headers["etag"] != old.headers["etag"]
    assert "After Change" in text(new)
    assert "Before Change" not in text(new)
    assert "report version 2" in text(new)
    assert newest["report"]["version"] == 2
    assert newest["report"]["sha256"] != scan["report"]["sha256"]
    assert newest["state"] == "completed"
    assert newest["version"] > scan["version"]
    storage = Storage(stack.state.object_store_url or "")
    while len(left := pdfs(storage, scan["id"])) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(left) == 1


def test_review_has_a_new_report(api: httpx.Client) -> None:
    scan = wait_final(api, submit(api, pictures.png(pictures.head(seed=5))).json()["id"])
    url = f"/v1/scans/{scan['id']}"
    predicted = scan["classification"]["label"]
    other = "glioma" if predicted != "glioma" else "pituitary"
    verdict = {"label": other, "agrees": False, "comment": "Seen on T2."}
    answer = api.put(f"{url}/review", json=verdict)
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == f'"{answer.json()["version"]}"'
    newest = wait_for_version(api, scan["id"], 2)
    assert newest["state"] == "completed"
    said = text(api.get(f"{url}/report.pdf"))
    assert f"A reader says: {other}." in said
    assert "Does not agree" in said
    assert "Seen on T2." in said


def test_reader_of_the_old_report_gets_the_new_one(pipeline: Pipeline) -> None:
    scan_id = finished_scan(pipeline.engine)
    scans, storage = ScanService(pipeline), pipeline.storage
    storage.put(f"scans/{scan_id}/report/1/report.pdf", b"%PDF-1")
    old = scans.artefact(scan_id, Artefact.REPORT, BY)
    assert old.content == b"%PDF-1"
    renew(pipeline.engine, scan_id)
    digest = begin(pipeline.engine, scan_id, scan_id)
    storage.put(f"scans/{scan_id}/report/2/report.pdf", b"%PDF-2")
    read = storage.get

    class Overtaken(Storage):
        """Between the look into the ledger and the read, the new report takes its place."""

        def get(self, key: str) -> bytes:
            if key.endswith("/1/report.pdf"):
                recorded = end(pipeline.engine, scan_id, scan_id, digest, 2)
                storage.delete_prefix(recorded.discard or "")
            return read(key)

    overtaken = replace(pipeline, storage=Overtaken(storage._url))
    new = ScanService(overtaken).artefact(scan_id, Artefact.REPORT, BY)
    assert new.content == b"%PDF-2"
    assert new.etag != old.etag


def wait_for_version(api: httpx.Client, scan_id: str, version: int) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    scan: dict[str, Any] = api.get(f"/v1/scans/{scan_id}").json()
    while scan["report"]["version"] < version:
        assert time.monotonic() < deadline
        time.sleep(0.2)
        scan = api.get(f"/v1/scans/{scan_id}").json()
    return scan


def text(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    pages = PdfReader(io.BytesIO(answer.content)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def pdfs(storage: Storage, scan_id: str) -> list[str]:
    return [key for key in storage.list(f"scans/{scan_id}") if key.endswith(".pdf")]


def test_a_report_that_begins_while_its_patient_changes_prints_the_new_name(
    engine: Engine,
) -> None:
    patient_id = add_patient(engine, name="Old")
    with ThreadPoolExecutor(1) as others:
        with transaction(engine) as session:
            session.get_one(Patient, patient_id, with_for_update=True).name = "New"
            session.flush()
            printed = others.submit(printed_patient, engine, patient_id)
            with pytest.raises(NotYet):
                printed.result(timeout=0.5)
        patient = printed.result(timeout=10)
    assert patient is not None
    assert patient.name == "New"
    assert printed_patient(engine, "00000000-0000-7000-8000-000000000000") is None
