"""Remove objects that no row of the ledger knows.

They are left over where a store or a process went away in the wrong moment: files of scans that are
gone or never came to be, and of attempts whose result was not taken. Only what is older than a day
goes, so that whatever is being written, or committed, has long been so.
"""

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

from neuroscan.ids import is_id
from neuroscan.storage import StoredObject
from neuroscan.telemetry import get_logger
from services.gateway.db.session import transaction
from services.gateway.maintenance import repository
from services.gateway.maintenance.repository import KnownScan
from services.gateway.pipeline import keys
from services.gateway.pipeline.assembly import Pipeline

ORPHANED_AFTER = timedelta(days=1)

log = get_logger(__name__)


def remove_orphans(
    pipeline: Pipeline, stopping: Callable[[], bool], older_than: timedelta = ORPHANED_AFTER
) -> int:
    """Remove orphaned objects below `scans/`; returns how many.

    Raises `Unavailable` when database or store are away. A ledger without a single scan is taken
    for the wrong one, and then nothing is removed.
    """
    with transaction(pipeline.engine) as session:
        if not repository.holds_a_scan(session):
            return 0
        limit = repository.moment(session) - older_than
    removed = 0
    for page in pipeline.storage.pages(keys.SCANS):
        if stopping():
            break
        # The rows are read after the listing: what is old and unknown by now stays unknown.
        orphans = _orphans(pipeline, page, limit)
        pipeline.storage.delete(orphans)
        removed += len(orphans)
    return removed


def _orphans(pipeline: Pipeline, page: tuple[StoredObject, ...], limit: datetime) -> list[str]:
    by_scan: dict[str, list[str]] = defaultdict(list)
    for stored in page:
        scan_id = _scan_of(stored.key)
        if scan_id is not None and stored.modified < limit:
            by_scan[scan_id].append(stored.key)
    if not by_scan:
        return []
    with transaction(pipeline.engine) as session:
        known = repository.known_scans(session, by_scan)
    return [
        key
        for scan_id, found in by_scan.items()
        for key in found
        if not _is_known(scan_id, key, known.get(scan_id))
    ]


def _scan_of(key: str) -> str | None:
    """The scan whose folder an object lies in; None for what is none of ours."""
    _, _, place = key.partition("/")
    scan_id, _, name = place.partition("/")
    return scan_id if name and is_id(scan_id) else None


def _is_known(scan_id: str, key: str, scan: KnownScan | None) -> bool:
    if scan is None:
        return False
    if scan.at_work or key in (keys.slice_key(scan_id), keys.thumbnail_key(scan_id)):
        return True
    if key == keys.original_key(scan_id):
        return scan.original_key is not None
    return any(key.startswith(f"{prefix}/") for prefix in scan.prefixes)
