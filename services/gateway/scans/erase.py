"""Delete a scan's objects, and remember outside the database that it was deleted.

The database may be restored from a copy that is older than the deletion;
`services.gateway.maintenance.apply_erasures` then deletes again what is remembered.
"""

import contextlib
import math
import time
from collections.abc import Iterable

from neuroscan.contracts.problems import Unavailable
from neuroscan.storage import Storage
from neuroscan.telemetry import get_logger
from services.gateway.db.session import transaction
from services.gateway.pipeline import keys
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans import repository

# How long a request that deletes goes on with the objects before it answers.
IN_REQUEST_S = 5.0

log = get_logger(__name__)


def erase(pipeline: Pipeline, prefixes: Iterable[str], *, for_s: float = math.inf) -> None:
    """Carry out orders of erasure at once, as far as the store allows, for so long at most.

    What is left stays ordered, and the sweeper carries it out.
    """
    ends = time.monotonic() + for_s
    for prefix in prefixes:
        if time.monotonic() > ends:
            log.info("erasure.goes_on", prefix=prefix)
            return
        try:
            carry_out(pipeline.storage, prefix)
        except Unavailable:
            log.warning("erasure.waits", prefix=prefix)
            return


def erase_scans(
    pipeline: Pipeline, scan_ids: Iterable[str], *, of: str | None = None, for_s: float = math.inf
) -> None:
    """`erase` of deleted scans, and first of the patient's or batch's prefix that they are `of`."""
    first = () if of is None else (of,)
    erase(pipeline, (*first, *map(keys.scan_prefix, scan_ids)), for_s=for_s)


def discard_objects(pipeline: Pipeline, scan_id: str) -> None:
    """Delete the objects of a scan that never came to be, or order that they be deleted."""
    try:
        pipeline.storage.delete_prefix(keys.scan_prefix(scan_id))
    except Unavailable:
        log.warning("scan.erasure_waits", scan_id=scan_id)
        with contextlib.suppress(Unavailable), transaction(pipeline.engine) as session:
            repository.order_erasures(session, [scan_id])


def carry_out(storage: Storage, prefix: str) -> None:
    """Delete what has this prefix and write down in the store that it is; raises `Unavailable`."""
    # In this order: a store that is full still lets go.
    storage.delete_prefix(prefix)
    storage.put(keys.erased_key(prefix), b"")
