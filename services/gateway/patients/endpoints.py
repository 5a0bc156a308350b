"""`/v1/patients`."""

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

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
from services.gateway.idempotency.once import KEY_PROBLEMS, REPLAYED, Once
from services.gateway.patients.history import History
from services.gateway.patients.views import patient_path
from services.gateway.scans.endpoints import CursorQuery, LimitQuery
from services.gateway.zips import ZIP_MEDIA_TYPE

router = APIRouter(prefix="/v1/patients", tags=["patients"])

CREATED: Responses = {201: {"headers": REPLAYED | {"Location": header("The patient's path")}}}

ARCHIVE: Responses = {
    200: {
        "content": {ZIP_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        "headers": {"Content-Disposition": header("The archive's name, by the patient's id")},
    }
}


@router.post(
    "",
    status_code=201,
    dependencies=[CLINICIAN],
    responses=CREATED
    | responses(problems.DuplicatePatient, problems.InvalidRequest, *KEY_PROBLEMS),
)
def create_patient(
    response: Response,
    patients: Patients,
    principal: CurrentPrincipal,
    new: PatientCreate,
    once: Once,
) -> PatientView:
    """A new patient."""
    patient = patients.create(new, principal, once)
    response.headers["Location"] = patient_path(patient.id)
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
    "/{patient_id}/export",
    response_class=StreamingResponse,
    dependencies=[CLINICIAN],
    responses=ARCHIVE | responses(problems.NotFound, problems.InvalidRequest),
)
def export_patient(
    patients: Patients, principal: CurrentPrincipal, patient_id: PatientId
) -> StreamingResponse:
    """All that is stored about a patient: a zip of JSON and files, made while it is sent."""
    disposition = f'attachment; filename="patient-{patient_id}.zip"'
    return StreamingResponse(
        patients.export(patient_id, principal),
        media_type=ZIP_MEDIA_TYPE,
        headers={"Content-Disposition": disposition},
    )


@router.get(
    "/{patient_id}/scans",
    response_model=History,
    dependencies=[CLINICIAN],
    responses=responses(problems.NotFound, problems.BadCursor, problems.InvalidRequest),
)
def patient_history(
    patients: Patients,
    principal: CurrentPrincipal,
    patient_id: PatientId,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> Response:
    """The patient's scans, newest first, with the trend of area and confidence."""
    history = patients.history(patient_id, principal, cursor=cursor, limit=limit)
    return Response(history, media_type="application/json")
