"""What happens when a slice comes in: decode, check, store, commit, classify."""

import contextlib
import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine
from sqlmodel import Session

from neuroscan.contracts.enums import DisplayConvention, StageName, StageState
from neuroscan.contracts.problems import (
    NeuroscanError,
    NotFound,
    PatientMismatch,
    Unavailable,
    UnknownPatient,
)
from neuroscan.contracts.scan import ScanPage, ScanView
from neuroscan.ids import new_id
from neuroscan.imaging.decoded import Decoded
from neuroscan.imaging.pool import DecodePool
from neuroscan.telemetry import get_logger
from services.gateway.db.session import transaction
from services.gateway.db.tables import STAGE_ORDER, Patient, Scan, ScanEvent, Stage, now
from services.gateway.paging import decode_cursor, encode_cursor
from services.gateway.pipeline import keys, record
from services.gateway.pipeline.assembly import Pipeline, patiently
from services.gateway.scans import idempotency, repository
from services.gateway.scans.artefacts import Artefact, StoredArtefact, read_artefact
from services.gateway.scans.repository import KeyUse, ScanFilter
from services.gateway.scans.views import scan_view

ROUTE = "POST /v1/scans"
_COMMIT_PATIENCE_S = 5.0

log = get_logger(__name__)


class _OutcomeUnknown(Unavailable):
    """The database went away during the commit, and has not come back to say what became of it."""


@dataclass(frozen=True)
class Upload:
    """A slice as it was sent, with its fields; not the file's name, which may name a person."""

    content: bytes
    declared_type: str | None
    suffix: str | None
    patient_id: str | None
    reference: str | None
    frame: int | None
    acquired_at: datetime | None
    spacing_mm: tuple[float, float] | None
    convention: DisplayConvention
    notes: str | None

    def fields(self) -> dict[str, str | None]:
        """The fields, normalized, for the idempotency fingerprint."""
        return {
            "patient_id": self.patient_id,
            "reference": self.reference,
            "frame": None if self.frame is None else str(self.frame),
            "acquired_at": self.acquired_at.isoformat() if self.acquired_at else None,
            "pixel_spacing_mm": repr(self.spacing_mm) if self.spacing_mm else None,
            "display_convention": self.convention,
            "notes": self.notes,
        }


@dataclass(frozen=True)
class Submitted:
    """The scan as it is now, and whether an earlier request had made it."""

    scan: ScanView
    replayed: bool


class ScanService:
    """Scans, over the ledger, the store and the decoding processes."""

    def __init__(self, pipeline: Pipeline, decoder: DecodePool) -> None:
        self._pipeline = pipeline
        self._decoder = decoder

    @property
    def _engine(self) -> Engine:
        return self._pipeline.engine

    def submit(
        self, upload: Upload, *, key: str | None, principal: str, request_id: str
    ) -> Submitted:
        """Take a slice in; it goes on by itself whatever happens to the caller afterwards."""
        use: KeyUse | None = None
        if key is not None:
            image_sha256 = hashlib.sha256(upload.content).hexdigest()
            print_ = idempotency.fingerprint(image_sha256, upload.fields())
            use = idempotency.use_of(key, principal=principal, route=ROUTE, print_=print_)
            known = idempotency.claim(self._engine, self._pipeline.settings, use)
            if known is not None:
                return Submitted(self.get(known), replayed=True)
        try:
            scan, slice_png = self._create(upload, use, request_id)
        except Exception:
            if use is not None:
                with transaction(self._engine) as session:
                    repository.release_key(session, use)
            raise
        log.info("scan.received", scan_id=scan.id, format=scan.image_format)
        self._classify_inline(scan, slice_png)
        return Submitted(self.get(scan.id), replayed=False)

    def get(self, scan_id: str) -> ScanView:
        """A scan as it is now; raises `NotFound`."""
        with transaction(self._engine) as session:
            repository.snapshot(session)
            scan = session.get(Scan, scan_id)
            if scan is None:
                raise NotFound("No scan has this id. It may have been deleted.")
            return scan_view(scan, repository.stages_of(session, scan_id))

    def version(self, scan_id: str) -> tuple[int, str]:
        """Version and state, cheaply; raises `NotFound`."""
        with transaction(self._engine) as session:
            found = repository.version_of(session, scan_id)
        if found is None:
            raise NotFound("No scan has this id. It may have been deleted.")
        return found

    def list(self, filters: ScanFilter, *, cursor: str | None, limit: int) -> ScanPage:
        """One page, newest first."""
        after_id = decode_cursor(cursor, filters.facts()) if cursor else None
        with transaction(self._engine) as session:
            repository.snapshot(session)
            rows = repository.list_scans(session, filters, after_id=after_id, limit=limit + 1)
            scans = rows[:limit]
            stages = repository.stages_of_many(session, [scan.id for scan in scans])
            items = [scan_view(scan, stages[scan.id]) for scan in scans]
        more = len(rows) > limit
        return ScanPage(
            items=items,
            next_cursor=encode_cursor(scans[-1].id, filters.facts()) if more else None,
        )

    def artefact(self, scan_id: str, artefact: Artefact) -> StoredArtefact:
        """A file of the scan; `NotReady` while it is being made, `NotFound` otherwise."""
        return read_artefact(self._engine, self._pipeline.storage, scan_id, artefact)

    def cancel(self, scan_id: str) -> ScanView:
        """Stop a scan; one that is over stays as it is."""
        with transaction(self._engine) as session:
            if record.cancel(session, scan_id) is None:
                raise NotFound("No scan has this id. It may have been deleted.")
        return self.get(scan_id)

    def delete(self, scan_id: str) -> None:
        """Remove the rows now; the objects go now or, if the store is away, with the sweeper."""
        with transaction(self._engine) as session:
            if not repository.delete_scan(session, scan_id):
                raise NotFound("No scan has this id. It may have been deleted already.")
        self.erase_objects(scan_id)

    def erase_objects(self, scan_id: str) -> None:
        """Delete a scan's objects at once if the store allows it, else by order."""
        try:
            self._pipeline.storage.delete_prefix(keys.scan_prefix(scan_id))
        except Unavailable:
            log.warning("scan.erasure_waits", scan_id=scan_id)
            # A deletion has ordered it already; a scan that never came to be has not.
            with contextlib.suppress(Unavailable), transaction(self._engine) as session:
                repository.order_erasures(session, [scan_id])

    def _create(self, upload: Upload, use: KeyUse | None, request_id: str) -> tuple[Scan, bytes]:
        """The new scan, stored and committed, and its slice as a PNG."""
        decoded = self._decoder.decode(
            upload.content,
            declared_type=upload.declared_type,
            file_name_suffix=upload.suffix,
            frame=upload.frame,
            spacing_mm=upload.spacing_mm,
            convention=upload.convention,
        )
        if upload.patient_id is not None:
            with transaction(self._engine) as session:
                _check_patient(session, upload.patient_id, decoded.patient_number)
        scan = _scan_row(upload, decoded, request_id)
        try:
            self._store(scan, decoded)
            self._commit(scan, use)
        except _OutcomeUnknown:
            log.warning("scan.objects_left", scan_id=scan.id)
            raise
        except Exception:
            self.erase_objects(scan.id)
            raise
        return scan, decoded.slice_png

    def _commit(self, scan: Scan, use: KeyUse | None) -> None:
        try:
            with transaction(self._engine) as session:
                self._insert(session, scan, use)
        except Unavailable:
            # The commit may have come through although its answer did not: a scan that is there
            # keeps its objects.
            if not self._is_there(scan.id):
                raise

    def _is_there(self, scan_id: str) -> bool:
        """Whether the ledger has the scan; waits a while for a lost database."""
        try:
            for attempt in patiently(_COMMIT_PATIENCE_S):
                with attempt, transaction(self._engine) as session:
                    there = repository.version_of(session, scan_id) is not None
        except Unavailable as error:
            raise _OutcomeUnknown(error.detail) from error
        return there

    def _store(self, scan: Scan, decoded: Decoded) -> None:
        storage = self._pipeline.storage
        storage.put(scan.original_key, decoded.original)
        storage.put(keys.slice_key(scan.id), decoded.slice_png)
        storage.put(keys.thumbnail_key(scan.id), decoded.thumbnail_webp)

    def _insert(self, session: Session, scan: Scan, use: KeyUse | None) -> None:
        if scan.patient_id is not None:
            # The lock keeps the patient from being deleted before the scan is there.
            _check_patient(session, scan.patient_id, None, lock=True)
        session.add(scan)
        session.flush()
        for name in STAGE_ORDER:
            stage = Stage(scan_id=scan.id, name=name)
            if name is StageName.CLASSIFY:
                # Begins with this very request, which makes the first call in line.
                stage.state = StageState.RUNNING
                stage.started_at = now()
                stage.lease_until = now() + self._pipeline.settings.classify_lease
                stage.input_digest = record.input_digest(scan.sha256, scan.id)
            session.add(stage)
        session.add(ScanEvent(scan_id=scan.id, version=scan.version, state=scan.state))
        if use is not None:
            repository.bind_key(session, use, scan.id)

    def _classify_inline(self, scan: Scan, slice_png: bytes) -> None:
        """One call with a short limit; when it fails the recorder makes the same call later."""
        pipeline = self._pipeline
        try:
            result = pipeline.inference.classify(
                slice_png,
                request_id=scan.request_id,
                timeout_s=pipeline.settings.inline_classify_limit.total_seconds(),
            )
            digest = record.input_digest(scan.sha256, scan.id)
            with transaction(self._engine) as session:
                recorded = record.record(session, record.classified(scan.id, digest, result))
            pipeline.follow(recorded)
        except NeuroscanError as error:
            log.warning("scan.classified_later", scan_id=scan.id, code=error.code)
            self._classify_from_queue(scan, error)

    def _classify_from_queue(self, scan: Scan, error: NeuroscanError) -> None:
        pipeline = self._pipeline
        try:
            with transaction(self._engine) as session:
                record.attempt_failed(
                    session,
                    scan.id,
                    StageName.CLASSIFY,
                    1,
                    error.problem(),
                    pipeline.settings.attempts_max,
                )
        except Unavailable:
            # The stage's lease runs out and the sweeper takes it up.
            log.warning("scan.database_away", scan_id=scan.id)


def _check_patient(
    session: Session, patient_id: str, number_in_file: str | None, *, lock: bool = False
) -> None:
    share = {"read": True, "key_share": True} if lock else None
    patient = session.get(Patient, patient_id, with_for_update=share)
    if patient is None:
        raise UnknownPatient
    if number_in_file and number_in_file != patient.medical_record_number:
        raise PatientMismatch


def _scan_row(upload: Upload, decoded: Decoded, request_id: str) -> Scan:
    scan_id = new_id()
    return Scan(
        id=scan_id,
        reference=upload.reference,
        patient_id=upload.patient_id,
        acquired_at=upload.acquired_at or decoded.acquired_at,
        notes=upload.notes,
        request_id=request_id,
        image_format=decoded.format,
        width=decoded.width,
        height=decoded.height,
        sha256=decoded.sha256,
        original_key=keys.original_key(scan_id),
        original_media_type=decoded.original_media_type,
        geometry=decoded.slice.geometry.model_dump(mode="json"),
    )
