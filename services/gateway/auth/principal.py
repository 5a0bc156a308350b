"""The caller of a request, and how a route declares who may call it."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from neuroscan.contracts.enums import Role
from neuroscan.contracts.problems import Forbidden, Unauthenticated


@dataclass(frozen=True)
class Principal:
    """A caller: `id` is `key:…` or `oidc:…`, never a person's name.

    `key_id` is the API key's, also where a session of that key calls; `session_mac` stands for the
    session where a page calls.
    """

    id: str
    role: Role
    key_id: str | None = None
    session_mac: str | None = field(default=None, repr=False, compare=False)

    @property
    def sees_only(self) -> str | None:
        """The owner to whose scans the caller's view is narrowed; None: all scans."""
        return None if self.role.includes(Role.CLINICIAN) else self.id

    def require(self, role: Role) -> None:
        """Raise `Forbidden` for a caller whose role does not include this one."""
        if not self.role.includes(role):
            raise Forbidden


@dataclass(frozen=True)
class Requires:
    """The dependency by which a route says which role it takes; None: anybody, without a key.

    Every route carries exactly one; a test walks all routes.
    """

    role: Role | None

    def __call__(self, request: Request) -> None:
        """Let the caller pass, or raise `Unauthenticated` or `Forbidden`."""
        if self.role is None:
            return
        current_principal(request).require(self.role)


def current_principal(request: Request) -> Principal:
    """The caller that the authentication found; raises `Unauthenticated` when there is none."""
    principal: Principal | None = getattr(request.state, "principal", None)
    if principal is None:
        raise Unauthenticated
    return principal


ANYBODY = Depends(Requires(None))
SUBMITTER = Depends(Requires(Role.SUBMITTER))
CLINICIAN = Depends(Requires(Role.CLINICIAN))
ADMIN = Depends(Requires(Role.ADMIN))

CurrentPrincipal = Annotated[Principal, Depends(current_principal)]
