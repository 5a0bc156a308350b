"""Webhooks, and scans whose state changes, for tests of notices."""

from sqlalchemy import Engine, update
from sqlmodel import Session, col, select

from neuroscan.contracts.enums import DeliveryState, Role, ScanState
from neuroscan.contracts.webhooks import FINAL_STATES
from services.gateway.auth.secrets import ServerSecret
from services.gateway.db.session import transaction
from services.gateway.db.tables import Webhook, WebhookDelivery, now
from services.gateway.pipeline import steering
from tests.integration.gateway.ledger import add_scan

SERVER_SECRET = ServerSecret("a server's secret that tests use")
HOOK_SECRET = "nswh_secret-of-a-test"
ALL_STATES = tuple(ScanState)


def add_hook(
    engine: Engine,
    url: str = "https://hook.example/",
    *,
    owner: str = "oidc:test",
    role: Role = Role.ADMIN,
    states: tuple[ScanState, ...] = FINAL_STATES,
) -> str:
    """A webhook's row, without the check of its address; returns its id."""
    hook = Webhook(
        owner=owner,
        role=role,
        url=url,
        states=list(states),
        secret=SERVER_SECRET.encrypt(HOOK_SECRET.encode()),
    )
    with transaction(engine) as session:
        session.add(hook)
    return hook.id


def canceled_scan(engine: Engine) -> str:
    """A scan that was canceled: one change to a final state."""
    scan_id = add_scan(engine)
    with transaction(engine) as session:
        steering.cancel(session, scan_id)
    return scan_id


def deliveries(engine: Engine, webhook_id: str | None = None) -> list[WebhookDelivery]:
    """The deliveries' rows, oldest first."""
    query = select(WebhookDelivery).order_by(col(WebhookDelivery.id))
    if webhook_id is not None:
        query = query.where(WebhookDelivery.webhook_id == webhook_id)
    with Session(engine, expire_on_commit=False) as session:
        return list(session.exec(query))


def let_time_pass(engine: Engine) -> None:
    """Make every pending notice due, as when its wait is over."""
    with transaction(engine) as session:
        session.execute(
            update(WebhookDelivery)
            .where(col(WebhookDelivery.state) == DeliveryState.PENDING)
            .values(next_at=now())
        )
