"""`/v1/audit`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from neuroscan.contracts import problems
from neuroscan.contracts.moments import Moment
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.audit.repository import AuditFilter
from services.gateway.audit.views import AuditPage
from services.gateway.auth.principal import ADMIN
from services.gateway.context import Audits
from services.gateway.errors import responses
from services.gateway.moments import in_utc
from services.gateway.scans.endpoints import CursorQuery, LimitQuery

router = APIRouter(prefix="/v1", tags=["operation"])

PrincipalQuery = Annotated[
    str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="As in `key:0a1b2c3d4e5f`")
]
SinceQuery = Annotated[Moment | None, Query(description="From this moment on")]
UntilQuery = Annotated[Moment | None, Query(description="Before this moment")]


@router.get(
    "/audit", dependencies=[ADMIN], responses=responses(problems.BadCursor, problems.InvalidRequest)
)
def read_audit(  # noqa: PLR0913, PLR0917 - one for each filter
    audit: Audits,
    principal: PrincipalQuery = None,
    action: Action | None = None,
    object_kind: ObjectKind | None = None,
    object_id: UUID | None = None,
    since: SinceQuery = None,
    until: UntilQuery = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> AuditPage:
    """Who read or changed what, newest first: no names of persons, no values."""
    filters = AuditFilter(
        principal=principal,
        action=action,
        object_kind=object_kind,
        object_id=str(object_id) if object_id else None,
        since=in_utc("since", since) if since else None,
        until=in_utc("until", until) if until else None,
    )
    return audit.list(filters, cursor=cursor, limit=limit)
