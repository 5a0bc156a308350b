"""The gateway's application: what it holds while it lives, its routes, its documents."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from neuroscan import NOTICE, __version__
from neuroscan.imaging.pool import DecodePool
from neuroscan.queues import broker_client
from neuroscan.serving import NO_TELEMETRY
from neuroscan.settings import (
    BrokerSettings,
    GatewaySettings,
    OidcSettings,
    SecretSettings,
    WebhookSettings,
)
from neuroscan.tracing import end_tracing
from services.gateway import errors
from services.gateway.analyses import endpoints as analysis_endpoints
from services.gateway.analyses.service import AnalysisService
from services.gateway.audit import endpoints as audit_endpoints
from services.gateway.audit.service import AuditService
from services.gateway.auth import endpoints as access_endpoints
from services.gateway.auth.middleware import Authentication
from services.gateway.auth.oidc import OidcVerifier
from services.gateway.auth.secrets import ServerSecret
from services.gateway.auth.service import AccessService
from services.gateway.batches import endpoints as batch_endpoints
from services.gateway.batches.service import BatchService
from services.gateway.card import endpoints as card_endpoints
from services.gateway.document import complete_document
from services.gateway.events import endpoints as event_endpoints
from services.gateway.events.changes import Changes
from services.gateway.events.service import EventService
from services.gateway.explanations import endpoints as explanation_endpoints
from services.gateway.explanations.service import ExplanationService
from services.gateway.health import endpoints as health_endpoints
from services.gateway.health.checks import HealthChecks
from services.gateway.idempotency import once
from services.gateway.idempotency.once import Keeper
from services.gateway.limits.limits import Limits
from services.gateway.limits.middleware import Limited
from services.gateway.middleware import RequestEnvelope
from services.gateway.patients import endpoints as patient_endpoints
from services.gateway.patients.service import PatientService
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.reviews import endpoints as review_endpoints
from services.gateway.reviews.service import ReviewService
from services.gateway.scans import artefact_endpoints
from services.gateway.scans import endpoints as scan_endpoints
from services.gateway.scans.intake import Intake
from services.gateway.scans.service import ScanService
from services.gateway.stages import endpoints as stage_endpoints
from services.gateway.stages.service import StageService
from services.gateway.web import endpoints as web_endpoints
from services.gateway.webhooks import endpoints as webhook_endpoints
from services.gateway.webhooks.addresses import AddressRules
from services.gateway.webhooks.service import WebhookService

DESCRIPTION = f"""
Send one brain-MRI slice; get its class with a calibrated confidence, where the network looked,
ten spatial parameters each with its standing, and a PDF report.

**{NOTICE}**
"""


class State(TypedDict):
    """What requests find in `request.state`."""

    access: AccessService
    intake: Intake
    scans: ScanService
    explanations: ExplanationService
    analyses: AnalysisService
    stages: StageService
    batches: BatchService
    patients: PatientService
    reviews: ReviewService
    audit: AuditService
    health: HealthChecks
    changes: Changes
    events: EventService
    limits: Limits
    keeper: Keeper
    webhooks: WebhookService


def create_app() -> FastAPI:
    """The application, configured from the environment."""
    settings = GatewaySettings()
    app = FastAPIOffline(
        title="NeuroScan",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan,
        openapi_url="/v1/openapi.json",
        redoc_url=None,
        telemetry=NO_TELEMETRY,
    )
    app.state.stopping = _never
    # The last that is added is the outermost.
    app.add_middleware(Limited)
    app.add_middleware(Authentication)
    app.add_middleware(RequestEnvelope, allowed_hosts=settings.allowed_hosts)
    errors.install(app)
    once.install(app)
    for endpoints in (
        event_endpoints,
        explanation_endpoints,
        analysis_endpoints,
        stage_endpoints,
        review_endpoints,
        scan_endpoints,
        artefact_endpoints,
        batch_endpoints,
        patient_endpoints,
        audit_endpoints,
        access_endpoints,
        health_endpoints,
        card_endpoints,
        webhook_endpoints,
    ):
        app.include_router(endpoints.router)
    app.include_router(web_endpoints.router)
    complete_document(app)
    return app


def _never() -> bool:
    """Whether the server is about to end; the server that runs the application knows better."""
    return False


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[State]:
    settings = GatewaySettings()
    pipeline = Pipeline.open(settings)
    decoder = DecodePool(
        settings.decode_processes,
        settings.decode_timeout.total_seconds(),
        settings.decode_memory_mib,
    )
    decoder.warm_up()
    secret = ServerSecret(SecretSettings().read())
    oidc = OidcVerifier.from_settings(OidcSettings())
    rules = AddressRules(WebhookSettings().webhook_allowed_networks)
    scans = ScanService(pipeline)
    limits = Limits(settings, BrokerSettings(), pipeline.engine)
    intake = Intake(pipeline, decoder)
    changes = Changes(settings.database_url, app.state.stopping)
    changes.start()
    health = HealthChecks(pipeline, broker_client(BrokerSettings()))
    try:
        yield {
            "access": AccessService(pipeline.engine, secret, oidc),
            "intake": intake,
            "scans": scans,
            "explanations": ExplanationService(pipeline),
            "analyses": AnalysisService(pipeline),
            "stages": StageService(pipeline, scans),
            "batches": BatchService(pipeline, intake),
            "patients": PatientService(pipeline, scans),
            "reviews": ReviewService(pipeline.engine),
            "audit": AuditService(pipeline.engine),
            "health": health,
            "changes": changes,
            "events": EventService(pipeline.engine, scans),
            "limits": limits,
            "keeper": Keeper(pipeline.engine, settings, secret),
            "webhooks": WebhookService(pipeline.engine, secret, rules),
        }
    finally:
        await changes.close()
        await limits.close()
        health.close()
        if oidc is not None:
            oidc.close()
        decoder.close()
        pipeline.close()
        end_tracing()
