"""Scans that are there: read, list, cancel, delete, artefacts.

A caller sees the scans that its role lets it see; any other does not exist for it.
"""

from sqlmodel import Session

from neuroscan.contracts.problems import NotFound
from neuroscan.contracts.scan import ScanPage, ScanView
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.db.session import transaction
from services.gateway.paging import decode_cursor, encode_cursor
from services.gateway.pipeline import record
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans import repository
from services.gateway.scans.artefacts import Artefact, NotStored, StoredArtefact, read_artefact
from services.gateway.scans.erase import erase_objects
from services.gateway.scans.repository import ScanFilter
from services.gateway.scans.views import scan_view


class ScanService:
    """Scans, over the ledger and the store."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._engine = pipeline.engine

    def get(self, scan_id: str, by: Principal) -> ScanView:
        """A scan as it is now; raises `NotFound`."""
        with transaction(self._engine) as session:
            repository.snapshot(session)
            view = self.view(session, scan_id, by)
            audit.note_reads(session, by, ObjectKind.SCAN, [scan_id])
        return view

    def view(self, session: Session, scan_id: str, by: Principal) -> ScanView:
        """A scan as a transaction sees it, which notes the read; raises `NotFound`."""
        scan = repository.visible(session, scan_id, by)
        return scan_view(
            scan,
            repository.stages_of(session, scan_id),
            repository.newest_review(session, scan_id),
        )

    def version(self, scan_id: str, by: Principal) -> tuple[int, str]:
        """Version and state, cheaply; raises `NotFound`."""
        with transaction(self._engine) as session:
            found = repository.version_of(session, scan_id, by)
        if found is None:
            raise NotFound("No scan has this id. It may have been deleted.")
        return found

    def list(
        self, filters: ScanFilter, by: Principal, *, cursor: str | None, limit: int
    ) -> ScanPage:
        """One page of what the caller may see, newest first."""
        facts = filters.facts()
        after_id = decode_cursor(cursor, facts) if cursor else None
        with transaction(self._engine) as session:
            repository.snapshot(session)
            rows = repository.list_scans(session, filters, by, after_id=after_id, limit=limit + 1)
            scans = rows[:limit]
            ids = [scan.id for scan in scans]
            stages = repository.stages_of_many(session, ids)
            reviews = repository.newest_reviews(session, ids)
            audit.note_reads(session, by, ObjectKind.SCAN, ids)
        # Outside: fifty scans take a while to build, and others wait for the connection.
        items = [scan_view(scan, stages[scan.id], reviews.get(scan.id)) for scan in scans]
        more = len(rows) > limit
        return ScanPage(
            items=items, next_cursor=encode_cursor(scans[-1].id, facts) if more else None
        )

    def artefact(
        self, scan_id: str, artefact: Artefact, by: Principal, if_none_match: str | None = None
    ) -> StoredArtefact:
        """A file of the scan; `NotReady` while it is being made, `NotFound` otherwise."""
        storage = self._pipeline.storage
        try:
            return read_artefact(self._engine, storage, scan_id, artefact, by, if_none_match)
        except NotStored:
            # A new report may have taken its place between the look into the ledger and the read.
            return read_artefact(self._engine, storage, scan_id, artefact, by, if_none_match)

    def cancel(self, scan_id: str, by: Principal) -> ScanView:
        """Stop a scan; one that is over stays as it is."""
        with transaction(self._engine) as session:
            repository.visible(session, scan_id, by)
            if record.cancel(session, scan_id) is None:
                raise NotFound("No scan has this id. It may have been deleted.")
            audit.note(session, by, Action.CANCELED, ObjectKind.SCAN, scan_id)
        return self.get(scan_id, by)

    def delete(self, scan_id: str, by: Principal) -> None:
        """Remove the rows now; the objects go now or, if the store is away, with the sweeper."""
        with transaction(self._engine) as session:
            repository.visible(session, scan_id, by)
            if not repository.delete_scan(session, scan_id):
                raise NotFound("No scan has this id. It may have been deleted already.")
            audit.note(session, by, Action.DELETED, ObjectKind.SCAN, scan_id)
        erase_objects(self._pipeline, scan_id)
