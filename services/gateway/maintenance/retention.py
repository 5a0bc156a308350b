"""Delete what is older than the installation keeps, in small portions."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from neuroscan.contracts.enums import Role
from neuroscan.contracts.problems import Unavailable
from neuroscan.telemetry import get_logger
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.db.audit_partitions import drop_partitions, make_partitions
from services.gateway.db.session import transaction
from services.gateway.maintenance import repository
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans.erase import erase_scans
from services.gateway.scans.repository import delete_scans

RETENTION = Principal(id="system:retention", role=Role.ADMIN)
_AT_ONCE = 100
_FIRST_ID = str(UUID(int=0))
# A row that somebody holds can't be told from a database that is away: so many are waited for.
_LOCKED_MAX = 3
# Making and dropping a partition waits for those who write to the audit, and they for it.
_LOCK_LIMIT = "-c lock_timeout=3000 -c statement_timeout=30000"

Stopping = Callable[[], bool]

log = get_logger(__name__)


def remove_originals(pipeline: Pipeline, keep: timedelta, stopping: Stopping) -> int:
    """Remove the originals of scans older than `keep`; returns how many.

    Raises `Unavailable` when database or store are away; the rest waits for the next time.
    """
    before, removed = _first_kept(pipeline, keep), 0
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

    A scan that can't be deleted is passed over until the next time. Raises what kept the last of
    them back, once all others are gone; `Unavailable` at once when the database is away.
    """
    before, removed = _first_kept(pipeline, keep), 0
    kept_back: list[SQLAlchemyError | Unavailable] = []
    after = _FIRST_ID
    while not stopping():
        with transaction(pipeline.engine) as session:
            ids = repository.scans_between(session, after, before, _AT_ONCE)
        if not ids:
            break
        after = ids[-1]
        gone = _remove(pipeline, ids, kept_back)
        erase_scans(pipeline, gone)
        removed += len(gone)
    while not stopping():
        with transaction(pipeline.engine) as session:
            batches = repository.delete_batches_before(session, before, _AT_ONCE)
            for batch_id in batches:
                audit.note(session, RETENTION, Action.DELETED, ObjectKind.BATCH, batch_id)
        if not batches:
            break
    if kept_back:
        raise kept_back[-1]
    return removed


def _remove(
    pipeline: Pipeline, ids: list[str], kept_back: list[SQLAlchemyError | Unavailable]
) -> list[str]:
    """Delete the rows of scans together; where that fails, each alone. The ids of those there were.

    What a scan fails with is added to `kept_back`.
    """
    try:
        return _remove_together(pipeline, ids)
    except (SQLAlchemyError, Unavailable) as error:
        log.warning("retention.one_by_one", reason=type(error).__name__)
    gone: list[str] = []
    for scan_id in ids:
        try:
            gone += _remove_together(pipeline, [scan_id])
        except (SQLAlchemyError, Unavailable) as error:
            log.warning("retention.scan_kept", scan_id=scan_id, reason=type(error).__name__)
            kept_back.append(error)
            if sum(isinstance(each, Unavailable) for each in kept_back) > _LOCKED_MAX:
                raise
    return gone


def _remove_together(pipeline: Pipeline, ids: list[str]) -> list[str]:
    with transaction(pipeline.engine) as session:
        gone = delete_scans(session, ids)
        audit.note_deleted_scans(session, RETENTION, gone)
    return gone


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


def _first_kept(pipeline: Pipeline, keep: timedelta) -> str:
    with transaction(pipeline.engine) as session:
        return repository.first_kept(session, keep)
