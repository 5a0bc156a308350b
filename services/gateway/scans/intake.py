"""What happens when a slice comes in: decode, check, store, commit, classify."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine
from sqlmodel import Session

from neuroscan.contracts.enums import DisplayConvention, Role, ScanState, StageName, StageState
from neuroscan.contracts.patient import composed
from neuroscan.contracts.problems import (
    Forbidden,
    NeuroscanError,
    PatientMismatch,
    Unavailable,
    UnknownPatient,
)
from neuroscan.ids import new_id
from neuroscan.imaging.decoded import Decoded
from neuroscan.imaging.pool import DecodePool
from neuroscan.telemetry import get_logger
from neuroscan.tracing import note
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.batches.place import BatchPlace
from services.gateway.db.session import one_statement, transaction, writes_only
from services.gateway.db.tables import (
    STAGE_ORDER,
    Patient,
    Scan,
    Stage,
    now,
)
from services.gateway.idempotency import claims
from services.gateway.idempotency.repository import KeyUse, bind_key
from services.gateway.pipeline import keys, ledger, metrics, record, results
from services.gateway.pipeline.assembly import Pipeline, patiently
from services.gateway.pipeline.doubts import with_doubts
from services.gateway.pipeline.ledger import StageRef
from services.gateway.scans import repository
from services.gateway.scans.erase import discard_objects
from services.gateway.webhooks import outbox
from services.gateway.webhooks.repository import listeners

ROUTE = "POST /v1/scans"
_COMMIT_PATIENCE_S = 5.0
_NO_PATIENTS = (
    "The caller's role has no patients. Leave `patient_id` out, or send the slice with another key."
)

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
    """The id of the scan, and whether an earlier request had made it."""

    scan_id: str
    replayed: bool


@dataclass(frozen=True)
class Sender:
    """Who sends a slice, in which request, and as a part of which batch."""

    principal: Principal
    request_id: str
    batch: BatchPlace | None = None


def check_may_name(patient_id: str | None, by: Principal) -> None:
    """Raise `Forbidden` for a patient's slice from a caller who may not see patients.

    To be asked before the patient is looked for: the answer must not tell which patients exist.
    """
    if patient_id is not None and not by.role.includes(Role.CLINICIAN):
        raise Forbidden(_NO_PATIENTS)


class Intake:
    """Takes slices in, over the ledger, the store and the decoding processes."""

    def __init__(self, pipeline: Pipeline, decoder: DecodePool) -> None:
        self._pipeline = pipeline
        self._decoder = decoder

    @property
    def _engine(self) -> Engine:
        return self._pipeline.engine

    def submit(self, upload: Upload, *, key: str | None, sender: Sender) -> Submitted:
        """Take a slice in; it goes on by itself whatever happens to the caller afterwards.

        A slice of a batch waits in the batch's own queue; any other is classified in line. Raises
        `Forbidden` for a patient's slice from a caller who may not see patients.
        """
        check_may_name(upload.patient_id, sender.principal)
        use: KeyUse | None = None
        if key is not None:
            image_sha256 = hashlib.sha256(upload.content).hexdigest()
            print_ = claims.fingerprint(image_sha256, upload.fields())
            use = claims.use_of(key, principal=sender.principal.id, route=ROUTE, print_=print_)
            known = claims.claim(self._engine, self._pipeline.settings, use)
            if known is not None:
                assert known.scan_id is not None
                return Submitted(known.scan_id, replayed=True)
        try:
            scan, slice_png = self._create(upload, use, sender)
        except Exception:
            if use is not None:
                claims.release(self._engine, use)
            raise
        log.info("scan.received", scan_id=scan.id, format=scan.image_format)
        if sender.batch is None:
            note({"neuroscan.scan_id": scan.id})
            self._classify_inline(scan, slice_png)
        else:
            self._pipeline.publisher.publish_soon(StageRef(scan.id, StageName.CLASSIFY))
        return Submitted(scan.id, replayed=False)

    def _create(self, upload: Upload, use: KeyUse | None, sender: Sender) -> tuple[Scan, bytes]:
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
            with one_statement(self._engine) as session:
                _check_patient(session, upload.patient_id, decoded.patient_number)
        scan = _scan_row(upload, decoded, sender)
        try:
            self._store(scan, decoded)
            self._commit(scan, use, sender)
        except _OutcomeUnknown:
            log.warning("scan.objects_left", scan_id=scan.id)
            raise
        except Exception:
            discard_objects(self._pipeline, scan.id)
            raise
        return scan, decoded.slice_png

    def _commit(self, scan: Scan, use: KeyUse | None, sender: Sender) -> None:
        try:
            with transaction(self._engine) as session:
                self._insert(session, scan, use, sender)
        except Unavailable:
            # The commit may have come through although its answer did not: a scan that is there
            # keeps its objects.
            if not self._is_there(scan.id):
                raise

    def _is_there(self, scan_id: str) -> bool:
        """Whether the ledger has the scan; waits a while for a lost database."""
        try:
            for attempt in patiently(_COMMIT_PATIENCE_S):
                with attempt, one_statement(self._engine) as session:
                    there = session.get(Scan, scan_id) is not None
        except Unavailable as error:
            raise _OutcomeUnknown(error.detail) from error
        return there

    def _store(self, scan: Scan, decoded: Decoded) -> None:
        storage = self._pipeline.storage
        storage.put(keys.original_key(scan.id), decoded.original)
        storage.put(keys.slice_key(scan.id), decoded.slice_png)
        storage.put(keys.thumbnail_key(scan.id), decoded.thumbnail_webp)

    def _insert(self, session: Session, scan: Scan, use: KeyUse | None, sender: Sender) -> None:
        if scan.patient_id is not None:
            # The lock keeps the patient from being deleted before the scan is there.
            _check_patient(session, scan.patient_id, None, lock=True)
        # Whoever locks a batch and scans, locks the batch first.
        position = sender.batch.reserve(session) if sender.batch is not None else 0
        if scan.patient_id is not None:
            scan.duplicate_of = repository.first_of_picture(session, scan.patient_id, scan.sha256)
        if use is not None:
            bind_key(session, use, scan_id=scan.id)
        hooks = listeners(session, scan)
        writes_only(session)
        session.add(scan)
        session.flush()
        for name in STAGE_ORDER:
            stage = Stage(scan_id=scan.id, name=name)
            if name is StageName.CLASSIFY:
                stage.input_digest = ledger.input_digest(scan.sha256, scan.id)
                if sender.batch is None:
                    # Begins with this very request, which makes the first call in line.
                    stage.state = StageState.RUNNING
                    stage.started_at = now()
                    stage.lease_until = now() + self._pipeline.settings.classify_lease
                else:
                    ledger.queue_stage(stage)
            session.add(stage)
        outbox.tell(session, scan, hooks)
        metrics.scan_came_to(session, scan, ScanState.RECEIVED)
        ledger.note_event(session, scan)
        audit.note(session, sender.principal, Action.CREATED, ObjectKind.SCAN, scan.id)
        if sender.batch is not None:
            session.add(sender.batch.item(position, scan_id=scan.id))

    def _classify_inline(self, scan: Scan, slice_png: bytes) -> None:
        """One call with a short limit; when it fails the recorder makes the same call later."""
        pipeline = self._pipeline
        try:
            result = pipeline.inference.classify(
                slice_png,
                request_id=scan.request_id,
                timeout_s=pipeline.settings.inline_classify_limit.total_seconds(),
            )
            digest = ledger.input_digest(scan.sha256, scan.id)
            result = with_doubts(scan, result)
            classified = results.classified(StageRef(scan.id, StageName.CLASSIFY), digest, result)
            pipeline.save_at_once(classified)
        except NeuroscanError as error:
            log.warning("scan.classified_later", scan_id=scan.id, code=error.code)
            self._classify_from_queue(scan, error)

    def _classify_from_queue(self, scan: Scan, error: NeuroscanError) -> None:
        pipeline = self._pipeline
        try:
            with transaction(self._engine) as session:
                record.attempt_failed(
                    session,
                    StageRef(scan.id, StageName.CLASSIFY),
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
    if number_in_file and composed(number_in_file) != composed(patient.medical_record_number):
        raise PatientMismatch


def _scan_row(upload: Upload, decoded: Decoded, sender: Sender) -> Scan:
    scan_id = new_id()
    return Scan(
        id=scan_id,
        owner=sender.principal.id,
        batch_id=sender.batch.batch_id if sender.batch else None,
        reference=upload.reference,
        patient_id=upload.patient_id,
        acquired_at=upload.acquired_at or decoded.acquired_at,
        notes=upload.notes,
        request_id=sender.request_id,
        image_format=decoded.format,
        width=decoded.width,
        height=decoded.height,
        sha256=decoded.sha256,
        original_key=keys.original_key(scan_id),
        original_media_type=decoded.original_media_type,
        geometry=decoded.slice.geometry.model_dump(mode="json"),
        modality=decoded.modality,
    )
