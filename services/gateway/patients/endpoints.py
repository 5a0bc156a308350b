"""`/v1/patients`."""

from fastapi import APIRouter, Response

from neuroscan.contracts import problems
from neuroscan.contracts.patient import (
    PatientCreate,
    PatientPage,
    PatientSearch,
    PatientUpdate,
    PatientView,
)
from services.gateway.context import PatientId, Patients
from services.gateway.errors import Responses, header, responses
from services.gateway.patients.history import History
from services.gateway.scans.endpoints import CursorQuery, LimitQuery

router = APIRouter(prefix="/v1/patients", tags=["patients"])

CREATED: Responses = {201: {"headers": {"Location": header("The patient's path")}}}


@router.post(
    "",
    status_code=201,
    responses=CREATED | responses(problems.DuplicatePatient, problems.InvalidRequest),
)
def create_patient(response: Response, patients: Patients, new: PatientCreate) -> PatientView:
    """A new patient."""
    patient = patients.create(new)
    response.headers["Location"] = f"/v1/patients/{patient.id}"
    return patient


@router.get("", responses=responses(problems.BadCursor, problems.InvalidRequest))
def list_patients(
    patients: Patients, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> PatientPage:
    """Patients, newest first."""
    return patients.list(cursor=cursor, limit=limit)


@router.post("/search", responses=responses(problems.InvalidRequest))
def search_patients(patients: Patients, search: PatientSearch) -> PatientPage:
    """Patients by part of a name or number; a POST, so that no URL holds a name."""
    return patients.search(search.q, search.limit)


@router.get("/{patient_id}", responses=responses(problems.NotFound, problems.InvalidRequest))
def read_patient(patients: Patients, patient_id: PatientId) -> PatientView:
    """One patient."""
    return patients.get(patient_id)


@router.patch(
    "/{patient_id}",
    responses=responses(problems.NotFound, problems.DuplicatePatient, problems.InvalidRequest),
)
def change_patient(
    patients: Patients, patient_id: PatientId, changes: PatientUpdate
) -> PatientView:
    """Change the fields that are sent."""
    return patients.change(patient_id, changes)


@router.delete(
    "/{patient_id}",
    status_code=204,
    responses=responses(problems.NotFound, problems.InvalidRequest),
)
def delete_patient(patients: Patients, patient_id: PatientId) -> None:
    """Remove a patient with all scans and objects."""
    patients.delete(patient_id)


@router.get(
    "/{patient_id}/scans",
    responses=responses(problems.NotFound, problems.BadCursor, problems.InvalidRequest),
)
def patient_history(
    patients: Patients, patient_id: PatientId, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> History:
    """The patient's scans, newest first, with the trend of area and confidence."""
    return patients.history(patient_id, cursor=cursor, limit=limit)
