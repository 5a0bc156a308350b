"""What the gateway says about the system's readiness."""

from enum import StrEnum

from neuroscan.contracts.base import Contract


class Health(StrEnum):
    """`degraded`: scans are accepted and wait for what is missing."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


class Part(Contract):
    """One part of the system."""

    ok: bool
    detail: str = ""


class Readiness(Contract):
    """All parts; `down` only without Postgres or the object store."""

    status: Health
    parts: dict[str, Part]

    def missing(self) -> str:
        """The parts that don't answer, in words."""
        return ", ".join(
            f"{name} ({part.detail})" if part.detail else name
            for name, part in self.parts.items()
            if not part.ok
        )
