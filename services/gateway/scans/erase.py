"""Delete a scan's objects, and remember outside the database that it was deleted.

The database may be restored from a copy that is older than the deletion;
`services.gateway.maintenance.apply_erasures` then deletes again what is remembered.
"""

import contextlib

from neuroscan.contracts.problems import Unavailable
from neuroscan.storage import Storage
from neuroscan.telemetry import get_logger
from services.gateway.db.session import transaction
from services.gateway.pipeline import keys
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans import repository

log = get_logger(__name__)


def erase_objects(pipeline: Pipeline, scan_id: str) -> None:
    """Delete a deleted scan's objects at once if the store allows it; else the order stands."""
    prefix = keys.scan_prefix(scan_id)
    try:
        # In this order: a store that is full still lets go.
        pipeline.storage.delete_prefix(prefix)
        remember_erasure(pipeline.storage, prefix)
    except Unavailable:
        log.warning("scan.erasure_waits", scan_id=scan_id)


def remember_patient(pipeline: Pipeline, patient_id: str) -> None:
    """Write down at once that a patient was erased if the store allows it; else the order does."""
    try:
        remember_erasure(pipeline.storage, keys.patient_prefix(patient_id))
    except Unavailable:
        log.warning("patient.erasure_waits", patient_id=patient_id)


def remember_batch(pipeline: Pipeline, batch_id: str) -> None:
    """Write down at once that a batch was erased if the store allows it; else the order does."""
    try:
        remember_erasure(pipeline.storage, keys.batch_prefix(batch_id))
    except Unavailable:
        log.warning("batch.erasure_waits", batch_id=batch_id)


def discard_objects(pipeline: Pipeline, scan_id: str) -> None:
    """Delete the objects of a scan that never came to be, or order that they be deleted."""
    try:
        pipeline.storage.delete_prefix(keys.scan_prefix(scan_id))
    except Unavailable:
        log.warning("scan.erasure_waits", scan_id=scan_id)
        with contextlib.suppress(Unavailable), transaction(pipeline.engine) as session:
            repository.order_erasures(session, [scan_id])


def remember_erasure(storage: Storage, prefix: str) -> None:
    """Write down in the store that what had this prefix is erased; raises `Unavailable`."""
    storage.put(keys.erased_key(prefix), b"")
