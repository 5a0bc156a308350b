"""Every route of the gateway with what it declares, read from the application itself."""

import re
import uuid
from dataclasses import dataclass

from fastapi.routing import iter_route_contexts

from neuroscan.contracts.enums import Role
from services.gateway.app import create_app
from services.gateway.auth.principal import Requires

# The documents' own pages, which FastAPI makes: they declare nothing.
DOCUMENTS = frozenset(
    {"/v1/openapi.json", "/docs", "/docs/oauth2-redirect", "/static-offline-docs"}
)
# Any other parameter takes an id; where it does not, the call is refused for its value.
_VALUES = {"artefact": "slice.png"}


@dataclass(frozen=True)
class Route:
    """One method on one path."""

    method: str
    path: str
    declares: tuple[Requires, ...]
    documented: bool

    @property
    def role(self) -> Role | None:
        """The one declared role; None: anybody."""
        (only,) = self.declares
        return only.role

    def url(self) -> str:
        """The path with values that lead to nothing that is there."""
        return re.sub(
            r"\{(\w+)[^}]*\}", lambda name: _VALUES.get(name[1], str(uuid.uuid4())), self.path
        )

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def all_routes() -> list[Route]:
    """Every route that the project itself has written."""
    routes = []
    for context in iter_route_contexts(create_app().routes):
        # A mounted folder has a path of its own only.
        path = str(context.path or getattr(context.original_route, "path", ""))
        if path in DOCUMENTS:
            continue
        declares = tuple(
            each.call for each in context.dependant.dependencies if isinstance(each.call, Requires)
        )
        documented = bool(context.include_in_schema)
        routes += [
            Route(method, path, declares, documented) for method in sorted(context.methods or ())
        ]
    return routes
