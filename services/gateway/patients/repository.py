"""All SQL about patients."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import delete, func, or_
from sqlmodel import Session, col, select

from neuroscan.contracts.enums import ScanState, StageName, TumorClass
from neuroscan.contracts.geometry import Geometry
from services.gateway.db.tables import Batch, Json, Patient, Scan, Stage
from services.gateway.patients.history import TrendScan
from services.gateway.pipeline.keys import patient_prefix
from services.gateway.scans.repository import order_erasures, order_erasures_below


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
    # Before their scans, as those do who bring files to a batch or take them away.
    batches = select(Batch.id).where(Batch.patient_id == patient_id).order_by(col(Batch.id))
    session.exec(batches.with_for_update()).all()
    # In the order of ids, as all do who lock many scans.
    scans = select(Scan.id).where(Scan.patient_id == patient_id).order_by(col(Scan.id))
    scan_ids = list(session.exec(scans.with_for_update()))
    order_erasures(session, scan_ids)
    order_erasures_below(session, [patient_prefix(patient_id)])
    session.execute(delete(Patient).where(col(Patient.id) == patient_id))
    return scan_ids


def trend_scans(session: Session, patient_id: str, limit: int) -> list[TrendScan]:
    """The newest completed scans by date of acquisition, else of arrival."""
    at = func.coalesce(col(Scan.acquired_at), col(Scan.created_at))
    # First the scans, so that the results of no more than these are opened.
    newest = (
        select(Scan.id, at.label("at"), Scan.label, Scan.geometry)
        .where(Scan.patient_id == patient_id, Scan.state == ScanState.COMPLETED)
        .order_by(at.desc())
        .limit(limit)
        .subquery()
    )
    found, shown = _stage(newest.c.id, StageName.CLASSIFY), _stage(newest.c.id, StageName.EXPLAIN)
    rows = session.execute(
        sa.select(
            newest.c.id,
            newest.c.at,
            newest.c.label,
            newest.c.geometry,
            found.c.output["classification"]["confidence"].as_float(),
            found.c.output["classification"]["prediction_set"],
            found.c.output["input_check"]["accepted"].as_boolean(),
            shown.c.output["explanation"]["region"]["area_px"].as_integer(),
        ).select_from(newest.join(found, sa.true()).join(shown, sa.true()))
    )
    return [_trend_scan(*row) for row in rows]


def _stage(scan_id: sa.ColumnElement[str], name: StageName) -> sa.FromClause:
    """One of a scan's own stages."""
    stage = sa.select(col(Stage.output)).where(
        col(Stage.scan_id) == scan_id, col(Stage.track) == "", col(Stage.name) == name
    )
    return stage.lateral(f"{name}_stage")


def _trend_scan(
    scan_id: str,
    at: datetime,
    label: str,
    geometry: Json,
    confidence: float,
    prediction_set: list[str] | None,
    accepted: bool,
    area_px: int | None,
) -> TrendScan:
    where = Geometry.model_validate(geometry)
    return TrendScan(
        scan_id=scan_id,
        at=at,
        label=TumorClass(label),
        confidence=confidence,
        prediction_set=[TumorClass(name) for name in prediction_set] if prediction_set else None,
        accepted=accepted,
        plane=where.plane,
        spacing_source=where.source,
        row_mm=where.row_mm,
        column_mm=where.column_mm,
        area_px=area_px,
    )


def locked(session: Session, patient_id: str) -> Patient | None:
    """The patient's row, locked until the transaction ends; None when there is none."""
    query = select(Patient).where(Patient.id == patient_id).with_for_update()
    return session.exec(query).one_or_none()


def reported_scans(session: Session, patient_id: str) -> list[str]:
    """The ids of a patient's scans that have a report, or whose report may be in the making."""
    with_report = (ScanState.COMPLETED, ScanState.MEASURED)
    query = select(Scan.id).where(Scan.patient_id == patient_id, col(Scan.state).in_(with_report))
    return list(session.exec(query))
