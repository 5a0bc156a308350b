"""What is too old or belongs to nothing goes; what is erased stays erased."""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text, update
from sqlmodel import Session, col, select

from neuroscan.contracts.enums import Role, StageName
from neuroscan.ids import first_id_at, new_id
from neuroscan.settings import RetentionSettings
from services.gateway.auth.principal import Principal
from services.gateway.db.session import transaction
from services.gateway.db.tables import Audit, Erasure, Patient, Scan, ScanEvent, Stage, now
from services.gateway.maintenance import reconciler, retention
from services.gateway.maintenance.apply_erasures import DeletedAgain, apply_erasures
from services.gateway.maintenance.reconciler import remove_orphans
from services.gateway.maintenance.retention import remove_originals, remove_scans
from services.gateway.maintenance.worker import Maintenance
from services.gateway.patients.service import PatientService
from services.gateway.pipeline import keys
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.sweeper import Sweeper
from services.gateway.scans.service import ScanService
from tests.integration.gateway.ledger import add_patient, add_scan, complete, completed_scan

ADMIN = Principal("key:admin", Role.ADMIN)
TWO_DAYS = 2 * 24 * 3600


def never() -> bool:
    return False


def old_id() -> str:
    """An id of ten days ago."""
    return first_id_at(now() - timedelta(days=10))[:-4] + new_id()[-4:]


def put(pipeline: Pipeline, key: str, *, old: bool = True) -> str:
    """An object that was written two days ago, or just now."""
    pipeline.storage.put(key, b"x")
    if old:
        # The pipeline's store is a folder of the test's.
        folder = Path(pipeline.storage._url.removeprefix("file://"))
        moment = time.time() - TWO_DAYS
        os.utime(folder / key, (moment, moment))
    return key


def keys_of(pipeline: Pipeline) -> set[str]:
    return set(pipeline.storage.list("scans"))


def test_objects_that_nothing_knows_go_after_a_day(pipeline: Pipeline) -> None:
    scan_id = completed_scan(pipeline.engine)
    with Session(pipeline.engine) as session:
        explained = session.get_one(Stage, (scan_id, "", StageName.EXPLAIN)).prefix
    known = {
        put(pipeline, keys.slice_key(scan_id)),
        put(pipeline, keys.thumbnail_key(scan_id)),
        put(pipeline, keys.original_key(scan_id)),
        put(pipeline, f"{explained}/heatmap.png"),
    }
    young = put(pipeline, keys.slice_key(new_id()), old=False)
    put(pipeline, keys.slice_key(new_id()))
    put(pipeline, f"scans/{scan_id}/explain/1-late/heatmap.png")
    assert remove_orphans(pipeline, never) == 2
    assert keys_of(pipeline) == known | {young}


def test_a_scan_at_work_keeps_everything(pipeline: Pipeline) -> None:
    scan_id = add_scan(pipeline.engine)
    written = put(pipeline, f"scans/{scan_id}/explain/1-now/heatmap.png")
    assert remove_orphans(pipeline, never) == 0
    assert keys_of(pipeline) == {written}


def test_a_ledger_without_a_scan_is_taken_for_the_wrong_one(pipeline: Pipeline) -> None:
    put(pipeline, keys.slice_key(new_id()))
    assert remove_orphans(pipeline, never) == 0


def test_originals_and_results_go_when_their_time_is_over(pipeline: Pipeline) -> None:
    old, young = old_id(), new_id()
    for scan_id in (old, young):
        add_scan(pipeline.engine, id=scan_id)
        complete(pipeline.engine, scan_id)
        put(pipeline, keys.original_key(scan_id))
        put(pipeline, keys.slice_key(scan_id))
    assert remove_originals(pipeline, timedelta(days=5), never) == 1
    with Session(pipeline.engine) as session:
        assert session.get_one(Scan, old).original_key is None
        assert session.get_one(Scan, young).original_key is not None
    assert keys.original_key(old) not in keys_of(pipeline)
    assert keys.slice_key(old) in keys_of(pipeline)

    assert remove_scans(pipeline, timedelta(days=5), never) == 1
    with Session(pipeline.engine) as session:
        assert [scan.id for scan in session.exec(select(Scan))] == [young]
        by_retention = select(Audit).where(Audit.principal == "system:retention")
        assert {row.action for row in session.exec(by_retention)} == {"changed", "deleted"}
    assert {key.split("/")[1] for key in keys_of(pipeline)} == {young}


def copies(pipeline: Pipeline, count: int, *, old: bool = True) -> list[str]:
    """Scans of one picture of one patient, the first of them unmarked."""
    patient_id = add_patient(pipeline.engine)
    first: str | None = None
    ids: list[str] = []
    for _ in range(count):
        scan_id = add_scan(
            pipeline.engine,
            id=old_id() if old else new_id(),
            patient_id=patient_id,
            duplicate_of=first,
        )
        first = first or scan_id
        ids.append(scan_id)
    return ids


def test_scans_of_one_picture_go_together(pipeline: Pipeline) -> None:
    copies(pipeline, 3)
    kept = add_scan(pipeline.engine)
    assert remove_scans(pipeline, timedelta(days=5), never) == 3
    with Session(pipeline.engine) as session:
        assert [scan.id for scan in session.exec(select(Scan))] == [kept]


def test_a_copy_that_stays_takes_the_place_of_those_that_go(pipeline: Pipeline) -> None:
    first, *_ = copies(pipeline, 2)
    with Session(pipeline.engine) as session:
        patient_id = session.get_one(Scan, first).patient_id
    heir, last = (
        add_scan(pipeline.engine, patient_id=patient_id, duplicate_of=first) for _ in range(2)
    )
    assert remove_scans(pipeline, timedelta(days=5), never) == 2
    with Session(pipeline.engine) as session:
        marked = {scan.id: scan.duplicate_of for scan in session.exec(select(Scan))}
        told = session.exec(select(ScanEvent.scan_id).order_by(col(ScanEvent.sequence))).all()
    assert marked == {heir: None, last: heir}
    assert told == [heir, last]


def test_one_scan_that_can_not_go_keeps_no_other_back(pipeline: Pipeline) -> None:
    ids = [add_scan(pipeline.engine, id=first_id_at(now() - timedelta(days=age))) for age in (9, 8)]
    with transaction(pipeline.engine) as session:
        session.execute(
            text(
                "CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'a row that is bad'; END $$"
            )
        )
        session.execute(
            text(
                "CREATE TRIGGER refuses BEFORE DELETE ON scan FOR EACH ROW"
                f" WHEN (OLD.id = '{ids[0]}') EXECUTE FUNCTION refuses()"
            )
        )
    before = failures("scans")
    settings = RetentionSettings(keep_results=timedelta(days=5))
    Maintenance(pipeline, settings).work()
    with Session(pipeline.engine) as session:
        assert [scan.id for scan in session.exec(select(Scan))] == ids[:1]
    assert failures("scans") - before == 1


def failures(kind: str) -> float:
    labels = {"kind": kind, "outcome": "failed"}
    return REGISTRY.get_sample_value("neuroscan_maintenance_runs_total", labels) or 0.0


def test_a_recorder_whose_clock_is_ahead_deletes_nothing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ahead() -> datetime:
        return now() + timedelta(days=365)

    scan_id = completed_scan(pipeline.engine)
    kept = {
        put(pipeline, keys.original_key(scan_id)),
        # Of an upload that is not committed yet.
        put(pipeline, keys.slice_key(new_id()), old=False),
    }
    for module in (retention, reconciler):
        monkeypatch.setattr(module, "now", ahead, raising=False)
    Maintenance(
        pipeline,
        RetentionSettings(keep_results=timedelta(days=30), keep_originals=timedelta(days=30)),
    ).work()
    with Session(pipeline.engine) as session:
        assert session.get_one(Scan, scan_id).original_key is not None
    assert keys_of(pipeline) == kept


def test_the_hourly_work_does_all_of_it(pipeline: Pipeline) -> None:
    old = old_id()
    add_scan(pipeline.engine, id=old)
    complete(pipeline.engine, old)
    add_scan(pipeline.engine)
    orphan = put(pipeline, keys.slice_key(new_id()))
    settings = RetentionSettings(keep_results=timedelta(days=5))
    Maintenance(pipeline, settings).work()
    with Session(pipeline.engine) as session:
        assert session.get(Scan, old) is None
    assert orphan not in keys_of(pipeline)


def restored(pipeline: Pipeline, patient: Patient, scans: list[Scan]) -> None:
    """The rows as an older copy of the database has them."""
    with Session(pipeline.engine) as session:
        session.add(Patient(**patient.model_dump()))
        session.flush()
        for scan in scans:
            session.add(Scan(**scan.model_dump()))
        session.commit()


def test_what_was_erased_is_erased_again_after_a_restore(pipeline: Pipeline) -> None:
    patient_id = add_patient(pipeline.engine, name="Somebody")
    of_patient = completed_scan(pipeline.engine)
    alone, kept = completed_scan(pipeline.engine), completed_scan(pipeline.engine)
    with Session(pipeline.engine, expire_on_commit=False) as session:
        session.execute(
            update(Scan).where(col(Scan.id) == of_patient).values(patient_id=patient_id)
        )
        session.commit()
        patient = session.get_one(Patient, patient_id)
        scans = [session.get_one(Scan, scan_id) for scan_id in (of_patient, alone)]
    PatientService(pipeline, ScanService(pipeline)).delete(patient_id, ADMIN)
    ScanService(pipeline).delete(alone, ADMIN)

    restored(pipeline, patient, scans)
    put(pipeline, keys.slice_key(alone))
    assert apply_erasures(pipeline) == DeletedAgain(patients=1, batches=0, scans=1)
    with Session(pipeline.engine) as session:
        assert session.exec(select(Patient)).all() == []
        assert [scan.id for scan in session.exec(select(Scan))] == [kept]
    assert keys_of(pipeline) == set()
    assert apply_erasures(pipeline) == DeletedAgain(patients=0, batches=0, scans=0)


def test_scans_of_one_picture_are_erased_again_together(pipeline: Pipeline) -> None:
    ids = copies(pipeline, 2, old=False)
    with Session(pipeline.engine, expire_on_commit=False) as session:
        scans = [session.get_one(Scan, scan_id) for scan_id in ids]
    for scan_id in ids:
        ScanService(pipeline).delete(scan_id, ADMIN)
    with Session(pipeline.engine) as session:
        for scan in scans:
            session.add(Scan(**scan.model_dump()))
            session.flush()
        session.commit()
    assert apply_erasures(pipeline) == DeletedAgain(patients=0, batches=0, scans=2)
    with Session(pipeline.engine) as session:
        assert session.exec(select(Scan)).all() == []


def test_an_erasure_is_written_down_even_if_the_store_is_away_at_first(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    scan_id = completed_scan(pipeline.engine)
    patient_id = add_patient(pipeline.engine)
    away = (tmp_path / "objects").rename(tmp_path / "away")
    ScanService(pipeline).delete(scan_id, ADMIN)
    PatientService(pipeline, ScanService(pipeline)).delete(patient_id, ADMIN)
    away.rename(tmp_path / "objects")
    with transaction(pipeline.engine) as session:
        session.execute(update(Erasure).values(asked_at=now() - timedelta(minutes=5)))
    sweeper = Sweeper(pipeline.engine, pipeline.publisher, pipeline.storage, pipeline.settings)
    sweeper.sweep()
    assert set(pipeline.storage.list("erased")) == {
        f"erased/scans/{scan_id}",
        f"erased/patients/{patient_id}",
    }


@pytest.mark.parametrize("keep", ["0", "PT1H", "-3", "soon"])
def test_keeping_less_than_a_day_is_refused(keep: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEP_RESULTS", keep)
    with pytest.raises(ValueError, match="keep_results"):
        RetentionSettings()
