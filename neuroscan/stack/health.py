"""Read what the gateway says about the stack's readiness."""

import httpx
from pydantic import ValidationError

from neuroscan.contracts.health import Health, Readiness


def parse_readiness(response: httpx.Response) -> Readiness | None:
    """The body of `GET /health/ready`, or None when it is something else."""
    try:
        return Readiness.model_validate_json(response.content)
    except ValidationError:
        return None


def is_complete(readiness: Readiness) -> bool:
    """True when every part answers."""
    return readiness.status is Health.OK
