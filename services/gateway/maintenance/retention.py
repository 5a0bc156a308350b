"""Delete what is older than the installation keeps, in small portions."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from neuroscan.contracts.enums import Role
from neuroscan.ids import first_id_at
from neuroscan.telemetry import get_logger
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.db.audit_partitions import drop_partitions, make_partitions
from services.gateway.db.session import transaction
from services.gateway.db.tables import now
from services.gateway.maintenance import repository
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans.erase import erase_objects
from services.gateway.scans.repository import delete_scan

RETENTION = Principal(id="system:retention", role=Role.ADMIN)
_AT_ONCE = 100
# Making and dropping a partition waits for those who write to the audit, and they for it.
_LOCK_LIMIT = "-c lock_timeout=3000 -c statement_timeout=30000"

Stopping = Callable[[], bool]

log = get_logger(__name__)


def remove_originals(pipeline: Pipeline, keep: timedelta, stopping: Stopping) -> int:
    """Remove the originals of scans older than `keep`; returns how many.

    Raises `Unavailable` when database or store are away; the rest waits for the next time.
    """
    before, removed = _first_kept(keep), 0
    while not stopping():
        with transaction(pipeline.engine) as session:
            stored = repository.originals_before(session, before, _AT_ONCE)
        if not stored:
            break
        # First the objects: what is not noted is only deleted once more.
        pipeline.storage.delete(stored.values())
        with transaction(pipeline.engine) as session:
            repository.forget_originals(session, list(stored))
            for scan_id in stored:
                audit.note(
                    session, RETENTION, Action.CHANGED, ObjectKind.SCAN, scan_id, ["original"]
                )
        removed += len(stored)
    return removed


def remove_scans(pipeline: Pipeline, keep: timedelta, stopping: Stopping) -> int:
    """Delete scans older than `keep`, and batches that this leaves empty; returns how many scans.

    Raises `Unavailable` when the database is away.
    """
    before, removed = _first_kept(keep), 0
    while not stopping():
        with transaction(pipeline.engine) as session:
            ids = repository.scans_before(session, before, _AT_ONCE)
            for scan_id in ids:
                if delete_scan(session, scan_id):
                    audit.note(session, RETENTION, Action.DELETED, ObjectKind.SCAN, scan_id)
        if not ids:
            break
        for scan_id in ids:
            erase_objects(pipeline, scan_id)
        removed += len(ids)
    while not stopping():
        with transaction(pipeline.engine) as session:
            batches = repository.delete_batches_before(session, before, _AT_ONCE)
            for batch_id in batches:
                audit.note(session, RETENTION, Action.DELETED, ObjectKind.BATCH, batch_id)
        if not batches:
            break
    return removed


def keep_audit(owner_url: str, keep: timedelta | None) -> list[str]:
    """Make the audit's next partitions, drop those that are too old; returns what was dropped.

    `owner_url` is that of the role that owns the tables. Raises `SQLAlchemyError`.
    """
    engine = create_engine(
        owner_url,
        poolclass=NullPool,
        hide_parameters=True,
        connect_args={"connect_timeout": 3, "options": _LOCK_LIMIT},
    )
    with engine.begin() as connection:
        make_partitions(connection)
        return drop_partitions(connection, keep) if keep is not None else []


def _first_kept(keep: timedelta) -> str:
    return first_id_at(now() - keep)
