"""The gateway's application: what it holds while it lives, its routes, its documents."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline

from neuroscan import NOTICE, __version__
from neuroscan.imaging.pool import DecodePool
from neuroscan.queues import broker_client
from neuroscan.settings import BrokerSettings, GatewaySettings, SecretSettings
from services.gateway import errors
from services.gateway.auth import endpoints as access_endpoints
from services.gateway.auth.middleware import Authentication
from services.gateway.auth.principal import ANYBODY
from services.gateway.auth.secrets import ServerSecret
from services.gateway.auth.service import AccessService
from services.gateway.document import complete_document
from services.gateway.health import endpoints as health_endpoints
from services.gateway.health.checks import HealthChecks
from services.gateway.middleware import RequestEnvelope
from services.gateway.patients import endpoints as patient_endpoints
from services.gateway.patients.service import PatientService
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans import artefact_endpoints
from services.gateway.scans import endpoints as scan_endpoints
from services.gateway.scans.intake import Intake
from services.gateway.scans.service import ScanService

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
    patients: PatientService
    health: HealthChecks


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
    )
    app.state.stopping = _never
    # The last that is added is the outermost.
    app.add_middleware(Authentication)
    app.add_middleware(RequestEnvelope, allowed_hosts=settings.allowed_hosts)
    errors.install(app)
    for endpoints in (scan_endpoints, patient_endpoints, access_endpoints, health_endpoints):
        app.include_router(endpoints.router)
    app.include_router(artefact_endpoints.router)
    app.add_api_route(
        "/",
        _to_docs,
        dependencies=[ANYBODY],
        include_in_schema=False,
        response_class=RedirectResponse,
    )
    complete_document(app)
    return app


def _never() -> bool:
    """Whether the server is about to end; the server that runs the application knows better."""
    return False


async def _to_docs() -> RedirectResponse:
    """Until the page is there, the API's own page."""
    return RedirectResponse("/docs")


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[State]:
    settings = GatewaySettings()
    pipeline = Pipeline.open(settings)
    decoder = DecodePool(
        settings.decode_processes,
        settings.decode_timeout.total_seconds(),
        settings.decode_memory_mib,
    )
    decoder.warm_up()
    scans = ScanService(pipeline)
    health = HealthChecks(pipeline, broker_client(BrokerSettings()))
    try:
        yield {
            "access": AccessService(pipeline.engine, ServerSecret(SecretSettings().read())),
            "intake": Intake(pipeline, decoder),
            "scans": scans,
            "patients": PatientService(pipeline, scans),
            "health": health,
        }
    finally:
        health.close()
        decoder.close()
        pipeline.close()
