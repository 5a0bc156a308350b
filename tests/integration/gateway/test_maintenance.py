"""What is too old or belongs to nothing goes; what is erased stays erased."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import Session, col, select

from neuroscan.contracts.enums import Role, StageName
from neuroscan.ids import first_id_at, new_id
from neuroscan.settings import RetentionSettings
from services.gateway.auth.principal import Principal
from services.gateway.db.session import transaction
from services.gateway.db.tables import Audit, Erasure, Patient, Scan, Stage, now
from services.gateway.maintenance.apply_erasures import apply_erasures
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
    assert apply_erasures(pipeline) == (1, 1)
    with Session(pipeline.engine) as session:
        assert session.exec(select(Patient)).all() == []
        assert [scan.id for scan in session.exec(select(Scan))] == [kept]
    assert keys_of(pipeline) == set()
    assert apply_erasures(pipeline) == (0, 0)


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
