"""Webhooks: make, list, delete, and what became of their notices."""

from sqlalchemy import Engine

from neuroscan.contracts.enums import DeliveryFault, DeliveryState, Role, ScanState
from neuroscan.contracts.problems import NotFound, TooManyWebhooks
from neuroscan.contracts.webhooks import (
    WEBHOOKS_MAX,
    DeliveryPage,
    DeliveryView,
    NewWebhook,
    NoticeData,
    WebhookCreate,
    WebhookList,
    WebhookView,
)
from neuroscan.telemetry import get_logger
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth.principal import Principal
from services.gateway.auth.secrets import ServerSecret, new_token
from services.gateway.db.session import transaction
from services.gateway.db.tables import Webhook, WebhookDelivery
from services.gateway.idempotency.once import OnceOnly
from services.gateway.paging import decode_cursor, encode_cursor
from services.gateway.webhooks import repository
from services.gateway.webhooks.addresses import AddressRules

SECRET_PREFIX = "nswh_"  # noqa: S105 - only how one begins

log = get_logger(__name__)


class WebhookService:
    """Webhooks, over the ledger."""

    def __init__(self, engine: Engine, secret: ServerSecret, rules: AddressRules) -> None:
        self._engine = engine
        self._secret = secret
        self._rules = rules

    def create(self, new: WebhookCreate, by: Principal, once: OnceOnly | None = None) -> NewWebhook:
        """A new webhook; raises `AddressRefused` and `TooManyWebhooks`."""
        self._rules.check(new.url)
        secret = SECRET_PREFIX + new_token()
        hook = Webhook(
            owner=by.id,
            role=by.role,
            url=new.url,
            states=list(dict.fromkeys(new.states)),
            secret=self._secret.encrypt(secret.encode()),
        )
        made = NewWebhook(**_view(hook).model_dump(), secret=secret)
        with transaction(self._engine) as session:
            if repository.count_of_owner(session, by.id) >= WEBHOOKS_MAX:
                raise TooManyWebhooks
            session.add(hook)
            audit.note(session, by, Action.CREATED, ObjectKind.WEBHOOK, hook.id)
            if once is not None:
                once.keep(session, made)
        log.info("webhook.created", webhook_id=hook.id)
        return made

    def list(self, by: Principal) -> WebhookList:
        """The caller's webhooks; all of them for an admin."""
        with transaction(self._engine) as session:
            return WebhookList(
                items=[_view(hook) for hook in repository.list_webhooks(session, by)]
            )

    def delete(self, webhook_id: str, by: Principal) -> None:
        """Remove a webhook; what it has not been told yet it will not hear."""
        with transaction(self._engine) as session:
            repository.check_visible(session, webhook_id, by)
            if not repository.delete_webhook(session, webhook_id):
                raise NotFound("No webhook has this id. It may have been deleted already.")
            audit.note(session, by, Action.DELETED, ObjectKind.WEBHOOK, webhook_id)
        log.info("webhook.deleted", webhook_id=webhook_id)

    def deliveries(
        self, webhook_id: str, by: Principal, *, cursor: str | None, limit: int
    ) -> DeliveryPage:
        """One page of a webhook's notices, newest first."""
        facts: dict[str, str | None] = {"list": "deliveries", "webhook": webhook_id}
        after_id = decode_cursor(cursor, facts) if cursor else None
        with transaction(self._engine) as session:
            repository.check_visible(session, webhook_id, by)
            rows = repository.list_deliveries(
                session, webhook_id, after_id=after_id, limit=limit + 1
            )
            items = [_delivery_view(row) for row in rows[:limit]]
            told_of = list(dict.fromkeys(item.scan_id for item in items))
            audit.note_reads(session, by, ObjectKind.SCAN, told_of)
        more = len(rows) > limit
        return DeliveryPage(
            items=items, next_cursor=encode_cursor(items[-1].id, facts) if more else None
        )


def _view(hook: Webhook) -> WebhookView:
    return WebhookView(
        id=hook.id,
        owner=hook.owner,
        role=Role(hook.role),
        url=hook.url,
        states=[ScanState(state) for state in hook.states],
        created_at=hook.created_at,
    )


def _delivery_view(row: WebhookDelivery) -> DeliveryView:
    data = NoticeData.model_validate(row.payload)
    return DeliveryView(
        id=row.id,
        scan_id=row.scan_id,
        scan_state=data.state,
        scan_version=data.version,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        status_code=row.status_code,
        error=DeliveryFault(row.error) if row.error else None,
        created_at=row.created_at,
        next_at=row.next_at,
        finished_at=row.finished_at,
    )
