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
from services.gateway.auth.principal import CLINICIAN, CurrentPrincipal
from services.gateway.context import PatientId, Patients
from services.gateway.errors import Responses, header, responses
from services.gateway.patients.history import History
from services.gateway.scans.endpoints import CursorQuery, LimitQuery

router = APIRouter(prefix="/v1/patients", tags=["patients"])

CREATED: Responses = {201: {"headers": {"Location": header("The patient's path")}}}


@router.post(
    "",
    status_code=201,
    dependencies=[CLINICIAN],
    responses=CREATED | responses(problems.DuplicatePatient, problems.InvalidRequest),
)
def create_patient(
    response: Response, patients: Patients, principal: CurrentPrincipal, new: PatientCreate
) -> PatientView:
    """A new patient."""
    patient = patients.create(new, principal)
    response.headers["Location"] = f"/v1/patients/{patient.id}"
    return patient


@router.get(
    "", dependencies=[CLINICIAN], responses=responses(problems.BadCursor, problems.InvalidRequest)
)
def list_patients(
    patients: Patients,
    principal: CurrentPrincipal,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> PatientPage:
    """Patients, newest first."""
    return patients.list(principal, cursor=cursor, limit=limit)


@router.post("/search", dependencies=[CLINICIAN], responses=responses(problems.InvalidRequest))
def search_patients(
    patients: Patients, principal: CurrentPrincipal, search: PatientSearch
) -> PatientPage:
    """Patients by part of a name or number; a POST, so that no URL holds a name."""
    return patients.search(search.q, search.limit, principal)


@router.get(
    "/{patient_id:uuid}",
    dependencies=[CLINICIAN],
    responses=responses(problems.NotFound, problems.InvalidRequest),
)
def read_patient(
    patients: Patients, principal: CurrentPrincipal, patient_id: PatientId
) -> PatientView:
    """One patient."""
    return patients.get(patient_id, principal)


@router.patch(
    "/{patient_id:uuid}",
    dependencies=[CLINICIAN],
    responses=responses(problems.NotFound, problems.DuplicatePatient, problems.InvalidRequest),
)
def change_patient(
    patients: Patients, principal: CurrentPrincipal, patient_id: PatientId, changes: PatientUpdate
) -> PatientView:
    """Change the fields that are sent."""
    return patients.change(patient_id, changes, principal)


@router.delete(
    "/{patient_id:uuid}",
    status_code=204,
    dependencies=[CLINICIAN],
    responses=responses(problems.NotFound, problems.InvalidRequest),
)
def delete_patient(patients: Patients, principal: CurrentPrincipal, patient_id: PatientId) -> None:
    """Remove a patient with all scans and objects."""
    patients.delete(patient_id, principal)


@router.get(
    "/{patient_id}/scans",
    dependencies=[CLINICIAN],
    responses=responses(problems.NotFound, problems.BadCursor, problems.InvalidRequest),
)
def patient_history(
    patients: Patients,
    principal: CurrentPrincipal,
    patient_id: PatientId,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> History:
    """The patient's scans, newest first, with the trend of area and confidence."""
    return patients.history(patient_id, principal, cursor=cursor, limit=limit)
