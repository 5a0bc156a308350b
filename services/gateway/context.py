"""What a request can use: services from the application's state, the request's id."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Request

from services.gateway.analyses.service import AnalysisService
from services.gateway.audit.service import AuditService
from services.gateway.auth.service import AccessService
from services.gateway.batches.service import BatchService
from services.gateway.events.changes import Changes
from services.gateway.events.service import EventService
from services.gateway.explanations.service import ExplanationService
from services.gateway.health.checks import HealthChecks
from services.gateway.patients.service import PatientService
from services.gateway.reviews.service import ReviewService
from services.gateway.scans.intake import Intake
from services.gateway.scans.service import ScanService
from services.gateway.stages.service import StageService
from services.gateway.webhooks.service import WebhookService


def _scans(request: Request) -> ScanService:
    service: ScanService = request.state.scans
    return service


def _explanations(request: Request) -> ExplanationService:
    service: ExplanationService = request.state.explanations
    return service


def _analyses(request: Request) -> AnalysisService:
    service: AnalysisService = request.state.analyses
    return service


def _stages(request: Request) -> StageService:
    service: StageService = request.state.stages
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


def _changes(request: Request) -> Changes:
    changes: Changes = request.state.changes
    return changes


def _events(request: Request) -> EventService:
    service: EventService = request.state.events
    return service


def _batches(request: Request) -> BatchService:
    service: BatchService = request.state.batches
    return service


def _webhooks(request: Request) -> WebhookService:
    service: WebhookService = request.state.webhooks
    return service


def _request_id(request: Request) -> str:
    request_id: str = request.state.request_id
    return request_id


def _batch_id(batch_id: Annotated[UUID, Path(description="The batch's id")]) -> str:
    return str(batch_id)


def _scan_id(scan_id: Annotated[UUID, Path(description="The scan's id")]) -> str:
    return str(scan_id)


def _patient_id(patient_id: Annotated[UUID, Path(description="The patient's id")]) -> str:
    return str(patient_id)


def _webhook_id(webhook_id: Annotated[UUID, Path(description="The webhook's id")]) -> str:
    return str(webhook_id)


Scans = Annotated[ScanService, Depends(_scans)]
Explanations = Annotated[ExplanationService, Depends(_explanations)]
Analyses = Annotated[AnalysisService, Depends(_analyses)]
Stages = Annotated[StageService, Depends(_stages)]
Patients = Annotated[PatientService, Depends(_patients)]
Reviews = Annotated[ReviewService, Depends(_reviews)]
Audits = Annotated[AuditService, Depends(_audits)]
Health = Annotated[HealthChecks, Depends(_health)]
Intakes = Annotated[Intake, Depends(_intake)]
Batches = Annotated[BatchService, Depends(_batches)]
Access = Annotated[AccessService, Depends(_access)]
Events = Annotated[EventService, Depends(_events)]
LiveChanges = Annotated[Changes, Depends(_changes)]
RequestId = Annotated[str, Depends(_request_id)]
ScanId = Annotated[str, Depends(_scan_id)]
BatchId = Annotated[str, Depends(_batch_id)]
PatientId = Annotated[str, Depends(_patient_id)]
Webhooks = Annotated[WebhookService, Depends(_webhooks)]
WebhookId = Annotated[str, Depends(_webhook_id)]
