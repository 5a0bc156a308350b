"""Delete a scan's objects."""

import contextlib

from neuroscan.contracts.problems import Unavailable
from neuroscan.telemetry import get_logger
from services.gateway.db.session import transaction
from services.gateway.pipeline import keys
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans import repository

log = get_logger(__name__)


def erase_objects(pipeline: Pipeline, scan_id: str) -> None:
    """Delete a scan's objects at once if the store allows it, else by order."""
    try:
        pipeline.storage.delete_prefix(keys.scan_prefix(scan_id))
    except Unavailable:
        log.warning("scan.erasure_waits", scan_id=scan_id)
        # A deletion has ordered it already; a scan that never came to be has not.
        with contextlib.suppress(Unavailable), transaction(pipeline.engine) as session:
            repository.order_erasures(session, [scan_id])
