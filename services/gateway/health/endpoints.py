"""`/health` for orchestrators, `/v1/status` for the page's light, `/v1/model` for the card."""

from fastapi import APIRouter, Response

from neuroscan.contracts import problems
from neuroscan.contracts.health import Health, Readiness
from neuroscan.contracts.model import ModelView
from neuroscan.contracts.problems import Unavailable
from services.gateway.auth.principal import ANYBODY, SUBMITTER
from services.gateway.context import Health as Checks
from services.gateway.errors import responses
from services.gateway.health.checks import Status

router = APIRouter(tags=["operation"])


@router.get("/health/live", response_model=dict[str, str], dependencies=[ANYBODY])
async def live() -> dict[str, str]:
    """The process answers; touches nothing else."""
    return {"status": "ok"}


@router.get("/health/ready", dependencies=[ANYBODY], responses={503: {"model": Readiness}})
async def ready(response: Response, checks: Checks) -> Readiness:
    """503 only without Postgres or the object store; the rest shows as `degraded`."""
    readiness = await checks.readiness_soon()
    if readiness.status is Health.DOWN:
        response.status_code = 503
    return readiness


@router.get("/v1/status", dependencies=[SUBMITTER])
def status(checks: Checks) -> Status:
    """State, device, model, queue, and what is degraded."""
    return checks.status()


@router.get("/v1/model", dependencies=[SUBMITTER], responses=responses(problems.Unavailable))
def model(checks: Checks) -> ModelView:
    """What the inference service says of its bundle."""
    facts = checks.model()
    if facts is None:
        raise Unavailable("The inference service does not answer. Try again in a few seconds.")
    return facts
