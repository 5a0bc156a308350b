"""What a request can use: services from the application's state, the request's id."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Request

from services.gateway.audit.service import AuditService
from services.gateway.auth.service import AccessService
from services.gateway.health.checks import HealthChecks
from services.gateway.patients.service import PatientService
from services.gateway.reviews.service import ReviewService
from services.gateway.scans.intake import Intake
from services.gateway.scans.service import ScanService


def _scans(request: Request) -> ScanService:
    service: ScanService = request.state.scans
    return service


def _patients(request: Request) -> PatientService:
    service: PatientService = request.state.patients
    return service


def _reviews(request: Request) -> ReviewService:
    service: ReviewService = request.state.reviews
    return service


def _audits(request: Request) -> AuditService:
    service: AuditService = request.state.audit
    return service


def _health(request: Request) -> HealthChecks:
    checks: HealthChecks = request.state.health
    return checks


def _intake(request: Request) -> Intake:
    intake: Intake = request.state.intake
    return intake


def _access(request: Request) -> AccessService:
    service: AccessService = request.state.access
    return service


def _request_id(request: Request) -> str:
    request_id: str = request.state.request_id
    return request_id


def _scan_id(scan_id: Annotated[UUID, Path(description="The scan's id")]) -> str:
    return str(scan_id)


def _patient_id(patient_id: Annotated[UUID, Path(description="The patient's id")]) -> str:
    return str(patient_id)


Scans = Annotated[ScanService, Depends(_scans)]
Patients = Annotated[PatientService, Depends(_patients)]
Reviews = Annotated[ReviewService, Depends(_reviews)]
Audits = Annotated[AuditService, Depends(_audits)]
Health = Annotated[HealthChecks, Depends(_health)]
Intakes = Annotated[Intake, Depends(_intake)]
Access = Annotated[AccessService, Depends(_access)]
RequestId = Annotated[str, Depends(_request_id)]
ScanId = Annotated[str, Depends(_scan_id)]
PatientId = Annotated[str, Depends(_patient_id)]
