"""`/v1/webhooks`."""

from fastapi import APIRouter

from neuroscan.contracts import problems
from neuroscan.contracts.webhooks import DeliveryPage, NewWebhook, WebhookCreate, WebhookList
from services.gateway.auth.principal import SUBMITTER, CurrentPrincipal
from services.gateway.context import WebhookId, Webhooks
from services.gateway.errors import Responses, responses
from services.gateway.idempotency.once import KEY_PROBLEMS, REPLAYED, Once
from services.gateway.scans.endpoints import CursorQuery, LimitQuery

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

CREATED: Responses = {201: {"headers": REPLAYED}}


@router.post(
    "",
    status_code=201,
    dependencies=[SUBMITTER],
    responses=CREATED
    | responses(
        problems.AddressRefused, problems.TooManyWebhooks, problems.InvalidRequest, *KEY_PROBLEMS
    ),
)
def create_webhook(
    webhooks: Webhooks, principal: CurrentPrincipal, new: WebhookCreate, once: Once
) -> NewWebhook:
    """Have changes of scans posted to a URL; the answer holds the signing secret, this once."""
    return webhooks.create(new, principal, once)


@router.get("", dependencies=[SUBMITTER])
def list_webhooks(webhooks: Webhooks, principal: CurrentPrincipal) -> WebhookList:
    """The caller's webhooks, newest first; an administrator sees all."""
    return webhooks.list(principal)


@router.delete(
    "/{webhook_id}",
    status_code=204,
    dependencies=[SUBMITTER],
    responses=responses(problems.NotFound, problems.InvalidRequest),
)
def delete_webhook(webhooks: Webhooks, principal: CurrentPrincipal, webhook_id: WebhookId) -> None:
    """Remove a webhook with its notices, those that wait too."""
    webhooks.delete(webhook_id, principal)


@router.get(
    "/{webhook_id}/deliveries",
    dependencies=[SUBMITTER],
    responses=responses(problems.NotFound, problems.BadCursor, problems.InvalidRequest),
)
def list_deliveries(
    webhooks: Webhooks,
    principal: CurrentPrincipal,
    webhook_id: WebhookId,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> DeliveryPage:
    """The webhook's notices and what became of them, newest first."""
    return webhooks.deliveries(webhook_id, principal, cursor=cursor, limit=limit)
