"""All SQL about patients."""

from sqlalchemy import delete, or_
from sqlmodel import Session, col, select

from services.gateway.db.tables import Patient, Scan
from services.gateway.scans.repository import order_erasures


def list_patients(session: Session, *, after_id: str | None, limit: int) -> list[Patient]:
    """Newest first (ids sort by time), beginning after `after_id`."""
    query = select(Patient).order_by(col(Patient.id).desc()).limit(limit)
    if after_id is not None:
        query = query.where(col(Patient.id) < after_id)
    return list(session.exec(query))


def search(session: Session, text: str, limit: int) -> list[Patient]:
    """Patients whose name or medical record number contains `text`, by name."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    pattern = f"%{escaped}%"
    query = (
        select(Patient)
        .where(
            or_(
                col(Patient.name).ilike(pattern),
                col(Patient.medical_record_number).ilike(pattern),
            )
        )
        .order_by(col(Patient.name), col(Patient.id))
        .limit(limit)
    )
    return list(session.exec(query))


def delete_patient(session: Session, patient_id: str) -> list[str] | None:
    """Remove a patient and the scans, order the erasure of their objects.

    Returns the ids of the scans; None when there is no such patient.
    """
    # The lock keeps a scan from being added between the two statements.
    found = select(Patient.id).where(Patient.id == patient_id).with_for_update()
    if session.exec(found).one_or_none() is None:
        return None
    scan_ids = list(session.exec(select(Scan.id).where(Scan.patient_id == patient_id)))
    order_erasures(session, scan_ids)
    session.execute(delete(Patient).where(col(Patient.id) == patient_id))
    return scan_ids


def locked(session: Session, patient_id: str) -> Patient | None:
    """The patient's row, locked until the transaction ends; None when there is none."""
    query = select(Patient).where(Patient.id == patient_id).with_for_update()
    return session.exec(query).one_or_none()
