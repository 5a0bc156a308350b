"""Scans that are there: read, list, cancel, delete, artefacts.

A caller sees the scans that its role lets it see; any other does not exist for it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from neuroscan.contracts.problems import BadCursor, NotFound
from neuroscan.contracts.scan import ScanView
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.auth.repository import require_live
from services.gateway.db.session import one_statement, snapshot, transaction, writes_only
from services.gateway.db.tables import Scan
from services.gateway.moments import in_utc
from services.gateway.paging import decode_cursor, decode_position, encode_cursor, encode_position
from services.gateway.pipeline import steering
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans import repository
from services.gateway.scans.artefacts import Artefact, NotStored, StoredArtefact, read_artefact
from services.gateway.scans.erase import erase_scans
from services.gateway.scans.rendered import Rendered
from services.gateway.scans.repository import Place, ScanFilter
from services.gateway.scans.views import scan_view


@dataclass(frozen=True)
class Listed:
    """A page of scans, each as JSON."""

    items: list[bytes]
    next_cursor: str | None

    def json(self, **more: bytes) -> bytes:
        """The JSON of a `ScanPage`, and of what has more members, which are JSON already."""
        members = {
            "items": b"[" + b",".join(self.items) + b"]",
            "next_cursor": json.dumps(self.next_cursor).encode(),
            **more,
        }
        return b"{" + b",".join(b'"%b":%b' % (n.encode(), v) for n, v in members.items()) + b"}"


class ScanService:
    """Scans, over the ledger and the store."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._engine = pipeline.engine
        self._rendered = Rendered()

    def get(self, scan_id: str, by: Principal) -> ScanView:
        """A scan as it is now; raises `NotFound`."""
        with transaction(self._engine) as session:
            found = repository.found(session, scan_id, by)
            writes_only(session)
            audit.note_reads(session, by, ObjectKind.SCAN, [scan_id])
        return scan_view(found.scan, found.stages, found.review)

    def view(self, session: Session, scan_id: str, by: Principal) -> ScanView:
        """A scan as a transaction sees it, which notes the read; raises `NotFound`."""
        found = repository.found(session, scan_id, by)
        return scan_view(found.scan, found.stages, found.review)

    def version(self, scan_id: str, by: Principal, *, anew: bool = False) -> tuple[int, str]:
        """Version and state, cheaply; raises `NotFound`.

        `anew`, for a caller who was let in a while ago: raises `Unauthenticated` when it has ended.
        """
        if anew:
            with one_statement(self._engine) as session:
                require_live(session, by)
        with one_statement(self._engine) as session:
            found = repository.version_of(session, scan_id, by)
        if found is None:
            raise NotFound("No scan has this id. It may have been deleted.")
        return found

    def listed(
        self, filters: ScanFilter, by: Principal, *, cursor: str | None, limit: int
    ) -> Listed:
        """One page of what the caller may see, newest first."""
        facts = filters.facts()
        after_id = decode_cursor(cursor, facts) if cursor else None
        return self._page(
            lambda session: repository.list_scans(
                session, filters, by, after_id=after_id, limit=limit + 1
            ),
            lambda last: encode_cursor(last.id, facts),
            by,
            limit,
        )

    def history(self, patient_id: str, by: Principal, *, cursor: str | None, limit: int) -> Listed:
        """One page of a patient's scans, by date of acquisition, else of arrival, newest first.

        Whoever may see a patient may see all of the patient's scans.
        """
        facts: dict[str, str | None] = {"list": "history", "patient_id": patient_id}
        after = _place(cursor, facts) if cursor else None
        return self._page(
            lambda session: repository.history_of(
                session, patient_id, after=after, limit=limit + 1
            ),
            lambda last: _cursor_after(last, facts),
            by,
            limit,
        )

    def _page(
        self,
        read: Callable[[Session], list[Scan]],
        cursor_after: Callable[[Scan], str],
        by: Principal,
        limit: int,
    ) -> Listed:
        """The first `limit` of the scans that `read` gives, which reads one more."""
        with transaction(self._engine) as session:
            snapshot(session)
            rows = read(session)
            scans = rows[:limit]
            items = self._rendered.known(scans)
            unknown = [scan for scan in scans if scan.id not in items]
            ids = [scan.id for scan in unknown]
            stages = repository.stages_of_many(session, ids) if ids else {}
            reviews = repository.newest_reviews(session, ids) if ids else {}
            writes_only(session)
            audit.note_reads(session, by, ObjectKind.SCAN, [scan.id for scan in scans])
        # Outside: fifty scans take a while to build, and others wait for the connection.
        for scan in unknown:
            view = scan_view(scan, stages[scan.id], reviews.get(scan.id))
            items[scan.id] = view.model_dump_json().encode()
            self._rendered.keep(scan, items[scan.id])
        cursor = cursor_after(scans[-1]) if len(rows) > limit else None
        return Listed([items[scan.id] for scan in scans], cursor)

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
            if steering.cancel(session, scan_id) is None:
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
        erase_scans(self._pipeline, [scan_id])


def _cursor_after(scan: Scan, facts: dict[str, str | None]) -> str:
    place = Place.of(scan)
    return encode_position([place.at.isoformat(), place.scan_id], facts)


def _place(cursor: str, facts: dict[str, str | None]) -> Place:
    at, scan_id = decode_position(cursor, facts, 2)
    try:
        return Place(in_utc("cursor", datetime.fromisoformat(at)), str(UUID(scan_id)))
    except ValueError as error:
        raise BadCursor from error
