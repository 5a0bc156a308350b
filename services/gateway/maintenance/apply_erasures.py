"""`python -m services.gateway.maintenance.apply_erasures`: after a restore of the database.

Deletes again every patient, batch and scan that was deleted before: their ids stand in the object
store, below `erased/`, whatever an older copy of the database holds. Run it before the gateway
starts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlmodel import Session

from neuroscan.contracts.enums import Role
from neuroscan.ids import is_id
from neuroscan.settings import GatewaySettings
from neuroscan.telemetry import configure_logs, get_logger
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.batches.repository import delete_batch
from services.gateway.db.session import transaction
from services.gateway.maintenance import repository
from services.gateway.patients.repository import delete_patient
from services.gateway.pipeline import keys
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans.erase import erase_scans
from services.gateway.scans.repository import delete_scans

RESTORE = Principal(id="system:restore", role=Role.ADMIN)

log = get_logger(__name__)


@dataclass(frozen=True)
class DeletedAgain:
    """How many there were: patients and batches with their scans, and other scans."""

    patients: int
    batches: int
    scans: int


def apply_erasures(pipeline: Pipeline) -> DeletedAgain:
    """Delete what was erased and came back.

    Raises `Unavailable` when database or store are away; it can be run again at any time.
    """
    patients = sum(
        _delete_whole(pipeline, ObjectKind.PATIENT, patient_id, delete_patient)
        for ids in _erased(pipeline, keys.PATIENTS)
        for patient_id in _there(pipeline, ids, repository.patients_among)
    )
    batches = sum(
        _delete_whole(pipeline, ObjectKind.BATCH, batch_id, delete_batch)
        for ids in _erased(pipeline, keys.BATCHES)
        for batch_id in _there(pipeline, ids, repository.batches_among)
    )
    scans = sum(_delete_scans(pipeline, ids) for ids in _erased(pipeline, keys.SCANS))
    return DeletedAgain(patients, batches, scans)


def _erased(pipeline: Pipeline, kind: str) -> Iterator[list[str]]:
    """The ids that are remembered as erased, a portion at a time."""
    for page in pipeline.storage.pages(keys.erased_key(kind)):
        names = (stored.key.rpartition("/")[2] for stored in page)
        yield [name for name in names if is_id(name)]


def _there(
    pipeline: Pipeline, ids: list[str], among: Callable[[Session, list[str]], list[str]]
) -> list[str]:
    with transaction(pipeline.engine) as session:
        return among(session, ids)


def _delete_whole(
    pipeline: Pipeline,
    kind: ObjectKind,
    name: str,
    delete: Callable[[Session, str], list[str] | None],
) -> bool:
    """Delete a patient or a batch with its scans; False when somebody else just has."""
    with transaction(pipeline.engine) as session:
        scan_ids = delete(session, name)
        if scan_ids is None:
            return False
        audit.note(session, RESTORE, Action.DELETED, kind, name)
        audit.note_deleted_scans(session, RESTORE, scan_ids)
    erase_scans(pipeline, scan_ids)
    log.info("erasure.repeated", kind=kind.value, object_id=name, scans=len(scan_ids))
    return True


def _delete_scans(pipeline: Pipeline, ids: list[str]) -> int:
    with transaction(pipeline.engine) as session:
        back = delete_scans(session, ids)
        audit.note_deleted_scans(session, RESTORE, back)
    for scan_id in ids:
        # Of all of them: the store may have been restored too.
        pipeline.storage.delete_prefix(keys.scan_prefix(scan_id))
    return len(back)


def main() -> None:
    """Apply them once."""
    configure_logs("apply_erasures")
    pipeline = Pipeline.open(GatewaySettings(), pool_size=2)
    try:
        again = apply_erasures(pipeline)
    finally:
        pipeline.close()
    print(
        f"deleted again: {again.patients} patients and {again.batches} batches with their scans, "
        f"{again.scans} other scans"
    )


if __name__ == "__main__":
    main()
