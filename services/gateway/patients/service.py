"""Patients: create, read, change, delete with everything that belongs to them."""

from collections.abc import Iterator

from psycopg.errors import UniqueViolation
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from neuroscan.contracts.patient import PatientCreate, PatientPage, PatientUpdate, PatientView
from neuroscan.contracts.problems import DuplicatePatient, InvalidRequest, NotFound
from neuroscan.telemetry import get_logger
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.db.session import transaction, writes_only
from services.gateway.db.tables import Patient, now
from services.gateway.idempotency.once import OnceOnly
from services.gateway.paging import decode_cursor, encode_cursor
from services.gateway.patients import repository
from services.gateway.patients.export import Export
from services.gateway.patients.history import TREND_SCANS_MAX, trend_of
from services.gateway.patients.views import patient_path, patient_view
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.pipeline.keys import patient_prefix
from services.gateway.pipeline.renewal import renew_reports
from services.gateway.scans.erase import IN_REQUEST_S, erase_scans
from services.gateway.scans.service import ScanService
from services.gateway.zips import zip_stream

_LIST: dict[str, str | None] = {"list": "patients"}
# What stands in a scan's report.
PRINTED = ("medical_record_number", "name", "birth_date", "sex")

log = get_logger(__name__)


class PatientService:
    """Patients, over the ledger."""

    def __init__(self, pipeline: Pipeline, scans: ScanService) -> None:
        self._pipeline = pipeline
        self._engine = pipeline.engine
        self._scans = scans

    def create(
        self, new: PatientCreate, by: Principal, once: OnceOnly | None = None
    ) -> PatientView:
        """A new patient; `DuplicatePatient` when the medical record number is taken."""
        patient = Patient(**new.model_dump())
        with transaction(self._engine) as session:
            session.add(patient)
            _flush(session)
            audit.note(session, by, Action.CREATED, ObjectKind.PATIENT, patient.id)
            view = patient_view(patient)
            if once is not None:
                once.keep(session, view, location=patient_path(view.id), patient_id=view.id)
        log.info("patient.created", patient_id=view.id)
        return view

    def get(self, patient_id: str, by: Principal) -> PatientView:
        """A patient; raises `NotFound`."""
        with transaction(self._engine) as session:
            view = patient_view(_found(session, patient_id))
            audit.note_reads(session, by, ObjectKind.PATIENT, [patient_id])
        return view

    def change(self, patient_id: str, changes: PatientUpdate, by: Principal) -> PatientView:
        """Change the fields that were sent; reports that print them are made anew."""
        fields = changes.model_dump(exclude_unset=True)
        for required in ("medical_record_number", "sex", "notes"):
            if required in fields and fields[required] is None:
                raise InvalidRequest(f"`{required}` can be changed but not removed.")
        with transaction(self._engine) as session:
            patient = repository.locked(session, patient_id)
            if patient is None:
                raise NotFound("No patient has this id. It may have been deleted.")
            printed = [getattr(patient, name) for name in PRINTED]
            for name, value in fields.items():
                setattr(patient, name, value)
            patient.updated_at = now()
            session.add(patient)
            _flush(session)
            if printed != [getattr(patient, name) for name in PRINTED]:
                renew_reports(session, repository.reported_scans(session, patient_id))
            audit.note(session, by, Action.CHANGED, ObjectKind.PATIENT, patient_id, list(fields))
            return patient_view(patient)

    def list(self, by: Principal, *, cursor: str | None, limit: int) -> PatientPage:
        """One page, newest first."""
        after_id = decode_cursor(cursor, _LIST) if cursor else None
        with transaction(self._engine) as session:
            rows = repository.list_patients(session, after_id=after_id, limit=limit + 1)
            items = [patient_view(row) for row in rows[:limit]]
            audit.note_reads(session, by, ObjectKind.PATIENT, [item.id for item in items])
        more = len(rows) > limit
        return PatientPage(
            items=items, next_cursor=encode_cursor(items[-1].id, _LIST) if more else None
        )

    def search(self, text: str, limit: int, by: Principal) -> PatientPage:
        """Patients by part of the name or number."""
        with transaction(self._engine) as session:
            items = [patient_view(row) for row in repository.search(session, text, limit)]
            audit.note_reads(session, by, ObjectKind.PATIENT, [item.id for item in items])
        return PatientPage(items=items, next_cursor=None)

    def delete(self, patient_id: str, by: Principal) -> None:
        """Remove the patient, the scans and their objects."""
        with transaction(self._engine) as session:
            scan_ids = repository.delete_patient(session, patient_id)
            if scan_ids is not None:
                audit.note(session, by, Action.DELETED, ObjectKind.PATIENT, patient_id)
                audit.note_deleted_scans(session, by, scan_ids)
        if scan_ids is None:
            raise NotFound("No patient has this id. It may have been deleted already.")
        log.info("patient.deleted", patient_id=patient_id, scans=len(scan_ids))
        prefix = patient_prefix(patient_id)
        erase_scans(self._pipeline, scan_ids, of=prefix, for_s=IN_REQUEST_S)

    def export(self, patient_id: str, by: Principal) -> Iterator[bytes]:
        """All that is stored about a patient, as a zip in parts; raises `NotFound`."""
        with transaction(self._engine) as session:
            view = patient_view(_found(session, patient_id))
            audit.note(session, by, Action.EXPORTED, ObjectKind.PATIENT, patient_id)
        log.info("patient.exported", patient_id=patient_id)
        return zip_stream(Export(self._pipeline, view, by).entries())

    def history(self, patient_id: str, by: Principal, *, cursor: str | None, limit: int) -> bytes:
        """The JSON of a `History`: the patient's scans, newest acquired first, with the trend."""
        with transaction(self._engine) as session:
            _found(session, patient_id)
            trend = trend_of(repository.trend_scans(session, patient_id, TREND_SCANS_MAX))
            writes_only(session)
            audit.note_reads(session, by, ObjectKind.PATIENT, [patient_id])
        page = self._scans.history(patient_id, by, cursor=cursor, limit=limit)
        return page.json(trend=trend.model_dump_json().encode())


def _found(session: Session, patient_id: str) -> Patient:
    patient = session.get(Patient, patient_id)
    if patient is None:
        raise NotFound("No patient has this id. It may have been deleted.")
    return patient


def _flush(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation):
            raise DuplicatePatient from error
        raise
