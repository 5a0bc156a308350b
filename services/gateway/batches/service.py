"""Batches that are there: read, list, results, reports.

A caller sees its own batches, a clinician all of them; any other does not exist for it.
"""

from collections.abc import Iterator, Sequence

from sqlmodel import Session

from neuroscan.contracts.batch import BatchPage, BatchView
from neuroscan.contracts.enums import StageName
from neuroscan.contracts.problems import Forbidden, NotFound
from neuroscan.contracts.report import PageSize
from neuroscan.process import code_version
from neuroscan.telemetry import get_logger
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.auth.repository import require_live
from services.gateway.batches import repository
from services.gateway.batches.archive import archive
from services.gateway.batches.results import ResultRow, csv_pieces
from services.gateway.batches.summary import print_summary, summary_or_none
from services.gateway.batches.upload import BatchUpload, Caller, Stopping
from services.gateway.batches.views import batch_view, summary_view
from services.gateway.db.session import snapshot, transaction
from services.gateway.db.tables import Batch, BatchItem, Patient, Review, Scan
from services.gateway.paging import decode_cursor, encode_cursor
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.keys import batch_prefix
from services.gateway.pipeline.ledger import input_digest
from services.gateway.scans.artefacts import MEDIA_TYPES, Artefact, StoredArtefact
from services.gateway.scans.conditions import names_tag
from services.gateway.scans.erase import IN_REQUEST_S, erase_scans
from services.gateway.scans.intake import Intake
from services.gateway.scans.repository import newest_reviews, stages_of_many
from services.gateway.scans.views import Stages, scan_view

PDF = MEDIA_TYPES[Artefact.REPORT]
_LIST: dict[str, str | None] = {"list": "batches"}
# Scans whose whole results are in memory at a time.
_PAGE = 20

log = get_logger(__name__)


class BatchService:
    """Batches, over the ledger and the store."""

    def __init__(self, pipeline: Pipeline, intake: Intake) -> None:
        self._pipeline = pipeline
        self._engine = pipeline.engine
        self._intake = intake

    def new(self, caller: Caller, *, stopping: Stopping) -> BatchUpload:
        """A request's files on their way into a new batch."""
        return BatchUpload(self._pipeline, self._intake, caller, stopping=stopping)

    def more(self, batch_id: str, caller: Caller, *, stopping: Stopping) -> BatchUpload:
        """A request's files on their way into a batch that is there.

        Raises `NotFound`, and `Forbidden` for a batch that the caller sees but did not make.
        """
        with transaction(self._engine) as session:
            batch = repository.visible(session, batch_id, caller.principal)
        if batch.owner != caller.principal.id:
            raise Forbidden("Only the caller who made a batch adds to it. Make one of your own.")
        return BatchUpload(self._pipeline, self._intake, caller, batch=batch, stopping=stopping)

    def get(self, batch_id: str, by: Principal) -> tuple[BatchView, str]:
        """A batch as it is now, and its version; raises `NotFound`."""
        with transaction(self._engine) as session:
            snapshot(session)
            batch = repository.visible(session, batch_id, by)
            rows = repository.items_of(session, batch_id)
            version, _ = repository.version_of(session, batch_id)
            _note_reads(session, by, batch_id)
        return batch_view(batch, rows), version

    def delete(self, batch_id: str, by: Principal) -> None:
        """Remove a batch, its scans and their objects; raises `NotFound`."""
        with transaction(self._engine) as session:
            repository.visible(session, batch_id, by)
            scan_ids = repository.delete_batch(session, batch_id)
            if scan_ids is None:
                raise NotFound("No batch has this id. It may have been deleted already.")
            audit.note(session, by, Action.DELETED, ObjectKind.BATCH, batch_id)
            audit.note_deleted_scans(session, by, scan_ids)
        log.info("batch.deleted", batch_id=batch_id, scans=len(scan_ids))
        prefix = batch_prefix(batch_id)
        erase_scans(self._pipeline, scan_ids, of=prefix, for_s=IN_REQUEST_S)

    def version(self, batch_id: str, by: Principal, *, anew: bool = False) -> tuple[str, bool]:
        """The batch's version, cheaply, and whether all of it is over; raises `NotFound`.

        `anew`, for a caller who was let in a while ago: raises `Unauthenticated` when it has ended.
        """
        with transaction(self._engine) as session:
            if anew:
                require_live(session, by)
            repository.visible(session, batch_id, by)
            return repository.version_of(session, batch_id)

    def list(self, by: Principal, *, cursor: str | None, limit: int) -> BatchPage:
        """One page of what the caller may see, newest first."""
        after_id = decode_cursor(cursor, _LIST) if cursor else None
        with transaction(self._engine) as session:
            snapshot(session)
            rows = repository.list_batches(session, by, after_id=after_id, limit=limit + 1)
            batches = rows[:limit]
            ids = [batch.id for batch in batches]
            states = repository.states_of_many(session, ids)
            audit.note_reads(session, by, ObjectKind.BATCH, ids)
        more = len(rows) > limit
        return BatchPage(
            items=[summary_view(batch, states[batch.id]) for batch in batches],
            next_cursor=encode_cursor(ids[-1], _LIST) if more else None,
        )

    def results(self, batch_id: str, by: Principal) -> Iterator[bytes]:
        """`results.csv` in pieces; raises `NotFound` before the first."""
        self._begin(batch_id, by)
        return csv_pieces(self._rows(batch_id))

    def reports(self, batch_id: str, by: Principal, request_id: str) -> Iterator[bytes]:
        """`report.zip` in pieces; raises `NotFound` before the first."""
        batch, patient = self._begin(batch_id, by)
        return archive(
            self._pipeline.storage,
            lambda: self._rows(batch_id),
            lambda: summary_or_none(
                self._pipeline, batch, patient, self._rows(batch_id), request_id
            ),
        )

    def summary(
        self, batch_id: str, by: Principal, request_id: str, if_none_match: str | None = None
    ) -> StoredArtefact:
        """`summary.pdf`; raises `NotFound`, and `Unavailable` when it can't be made now.

        One that the caller has already, by `if_none_match`, is neither made nor noted as read.
        """
        with transaction(self._engine) as session:
            snapshot(session)
            batch = repository.visible(session, batch_id, by)
            patient = repository.patient_of(session, batch)
            version, _ = repository.version_of(session, batch_id)
            etag = _summary_tag(version, patient, self._pipeline.settings.report_page_size)
            known = names_tag(if_none_match, etag)
            if not known:
                _note_reads(session, by, batch_id)
        content = b""
        if not known:
            rows = self._rows(batch_id)
            content = print_summary(self._pipeline, batch, patient, rows, request_id)
        return StoredArtefact(content, etag, PDF)

    def _begin(self, batch_id: str, by: Principal) -> tuple[Batch, Patient | None]:
        with transaction(self._engine) as session:
            batch = repository.visible(session, batch_id, by)
            _note_reads(session, by, batch_id)
            return batch, repository.patient_of(session, batch)

    def _rows(self, batch_id: str) -> Iterator[ResultRow]:
        """Every item with its scan, a page at a time, so that no connection is held meanwhile."""
        after = -1
        while page := self._page(batch_id, after):
            yield from page
            after = page[-1].item.position

    def _page(self, batch_id: str, after: int) -> Sequence[ResultRow]:
        with transaction(self._engine) as session:
            snapshot(session)
            found = repository.scans_between(session, batch_id, after=after, limit=_PAGE)
            scan_ids = [scan.id for _, scan in found if scan]
            stages = stages_of_many(session, scan_ids)
            reviews = newest_reviews(session, scan_ids)
        return [_row(item, scan, stages, reviews) for item, scan in found]


def _row(
    item: BatchItem, scan: Scan | None, stages: dict[str, Stages], reviews: dict[str, Review]
) -> ResultRow:
    if scan is None:
        return ResultRow(item=item, scan=None, pdf=None)
    report = stages[scan.id][StageName.REPORT].output
    view = scan_view(scan, stages[scan.id], reviews.get(scan.id))
    return ResultRow(item=item, scan=view, pdf=str(report["key"]) if report else None)


def _summary_tag(version: str, patient: Patient | None, page_size: PageSize) -> str:
    """Names all that a summary depends on."""
    changed = patient.updated_at.isoformat() if patient else ""
    return f'"{input_digest(version, changed, page_size, code_version())}"'


def _note_reads(session: Session, by: Principal, batch_id: str) -> None:
    """Whoever reads a batch reads what was found in its scans."""
    audit.note_reads(session, by, ObjectKind.BATCH, [batch_id])
    audit.note_reads(session, by, ObjectKind.SCAN, repository.scan_ids(session, batch_id))
