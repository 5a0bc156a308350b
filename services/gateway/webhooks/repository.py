"""All SQL about webhooks and their deliveries."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, text, update
from sqlmodel import Session, col, select

from neuroscan.contracts.enums import DeliveryState, Role
from neuroscan.contracts.problems import NotFound
from services.gateway.auth.principal import Principal
from services.gateway.auth.repository import owner_lives
from services.gateway.db.tables import Json, Scan, ScanEvent, Webhook, WebhookDelivery, now

_LOCK = 0x4E53_5748  # any number, the first half of the lock of each owner


@dataclass(frozen=True)
class Due:
    """A notice that is ours to send until `leased_until`, and where it goes."""

    id: str
    webhook_id: str
    scan_id: str
    payload: Json
    attempts: int
    created_at: datetime
    leased_until: datetime
    url: str
    secret: bytes
    owner: Principal
    owner_lives: bool


@dataclass(frozen=True)
class Settled:
    """What a try came to; with `retry_at` the notice stays pending until then."""

    state: DeliveryState
    status_code: int | None
    error: str | None
    attempts: int
    retry_at: datetime | None = None


def listeners(session: Session, scan: Scan) -> list[str]:
    """The webhooks that hear of a scan's present state; none when the state is not new.

    A hook that is being deleted at this moment is passed over, not waited for.
    """
    told = select(ScanEvent.state).where(ScanEvent.scan_id == scan.id)
    last = told.order_by(col(ScanEvent.sequence).desc()).limit(1).scalar_subquery()
    hears = or_(col(Webhook.role) != Role.SUBMITTER, col(Webhook.owner) == scan.owner)
    query = (
        select(Webhook.id)
        .where(
            col(Webhook.states).contains([scan.state]),
            hears,
            owner_lives(col(Webhook.owner)),
            last.is_distinct_from(scan.state),
        )
        .with_for_update(read=True, key_share=True, skip_locked=True)
    )
    return list(session.exec(query))


def count_of_owner(session: Session, owner: str) -> int:
    """How many webhooks an owner has; until the transaction ends nobody adds another."""
    session.execute(
        text("SELECT pg_advisory_xact_lock(:lock, hashtext(:owner))"),
        {"lock": _LOCK, "owner": owner},
    )
    query = select(func.count()).select_from(Webhook).where(Webhook.owner == owner)
    return session.exec(query).one()


def list_webhooks(session: Session, by: Principal) -> list[Webhook]:
    """The caller's webhooks, an admin's view all, newest first."""
    query = select(Webhook).order_by(col(Webhook.id).desc())
    if not by.role.includes(Role.ADMIN):
        query = query.where(Webhook.owner == by.id)
    return list(session.exec(query))


def check_visible(session: Session, webhook_id: str, by: Principal) -> None:
    """Raise `NotFound` for a webhook that is not the caller's, who is no admin either."""
    query = select(Webhook.owner).where(Webhook.id == webhook_id)
    owner = session.exec(query).one_or_none()
    if owner is None or not (by.role.includes(Role.ADMIN) or owner == by.id):
        raise NotFound("No webhook has this id. It may have been deleted.")


def delete_webhook(session: Session, webhook_id: str) -> bool:
    """Remove a webhook with its deliveries; False when there was none."""
    gone = session.execute(
        delete(Webhook).where(col(Webhook.id) == webhook_id).returning(col(Webhook.id))
    )
    return gone.scalar_one_or_none() is not None


def list_deliveries(
    session: Session, webhook_id: str, *, after_id: str | None, limit: int
) -> list[WebhookDelivery]:
    """Newest first (ids sort by time), beginning after `after_id`."""
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    if after_id is not None:
        query = query.where(col(WebhookDelivery.id) < after_id)
    return list(session.exec(query.order_by(col(WebhookDelivery.id).desc()).limit(limit)))


# One notice of each webhook at most, so that none keeps others waiting, and of one scan only the
# oldest, so that they are told in order. A row that another recorder holds is passed over; the
# lease is what keeps it from being taken a second time after the transaction.
_CLAIM = text(
    """
    WITH due AS MATERIALIZED (
        SELECT first.id FROM webhook
        CROSS JOIN LATERAL (
            SELECT waiting.id, waiting.next_at FROM webhook_delivery waiting
            WHERE waiting.webhook_id = webhook.id
            AND waiting.state = 'pending' AND waiting.next_at <= :now
            AND NOT EXISTS (
                SELECT 1 FROM webhook_delivery earlier
                WHERE earlier.scan_id = waiting.scan_id
                AND earlier.webhook_id = waiting.webhook_id AND earlier.state = 'pending'
                AND CAST(earlier.payload ->> 'version' AS integer)
                    < CAST(waiting.payload ->> 'version' AS integer)
            )
            ORDER BY waiting.next_at LIMIT 1 FOR UPDATE SKIP LOCKED
        ) AS first
        WHERE webhook.id <> ALL (CAST(:passed_over AS uuid[]))
        ORDER BY first.next_at LIMIT :limit
    )
    UPDATE webhook_delivery SET next_at = :leased_until FROM due
    WHERE webhook_delivery.id = due.id RETURNING CAST(webhook_delivery.id AS text)
    """
)


def claim(
    session: Session, *, passed_over: Collection[str], limit: int, lease: timedelta
) -> list[Due]:
    """Take notices that are due, but none of the webhooks that are passed over."""
    moment = now()
    leased_until = moment + lease
    ids = session.execute(
        _CLAIM,
        {
            "now": moment,
            "leased_until": leased_until,
            "passed_over": list(passed_over),
            "limit": limit,
        },
    ).scalars()
    rows = session.exec(
        select(WebhookDelivery, Webhook, owner_lives(col(Webhook.owner)))
        .join(Webhook, col(Webhook.id) == col(WebhookDelivery.webhook_id))
        .where(col(WebhookDelivery.id).in_(list(ids)))
        .order_by(col(WebhookDelivery.id))
    )
    return [
        Due(
            id=row.id,
            webhook_id=hook.id,
            scan_id=row.scan_id,
            payload=row.payload,
            attempts=row.attempts,
            created_at=row.created_at,
            leased_until=leased_until,
            url=hook.url,
            secret=hook.secret,
            owner=Principal(id=hook.owner, role=Role(hook.role)),
            owner_lives=lives,
        )
        for row, hook, lives in rows
    ]


def settle(session: Session, due: Due, settled: Settled) -> bool:
    """Note what a try came to. False when the notice is no longer ours, or gone."""
    over = settled.state is not DeliveryState.PENDING
    done = session.execute(
        update(WebhookDelivery)
        .where(
            col(WebhookDelivery.id) == due.id,
            col(WebhookDelivery.state) == DeliveryState.PENDING,
            col(WebhookDelivery.next_at) == due.leased_until,
        )
        .values(
            state=settled.state,
            attempts=settled.attempts,
            status_code=settled.status_code,
            error=settled.error,
            next_at=settled.retry_at,
            finished_at=now() if over else None,
        )
        .returning(col(WebhookDelivery.id))
    ).scalar_one_or_none()
    if done is None:
        return False
    if settled.retry_at is not None:
        _hold_back_later_ones(session, due, settled.retry_at)
    return True


def _hold_back_later_ones(session: Session, due: Due, until: datetime) -> None:
    """What waits for this notice need not be looked at before it."""
    session.execute(
        update(WebhookDelivery)
        .where(
            col(WebhookDelivery.scan_id) == due.scan_id,
            col(WebhookDelivery.webhook_id) == due.webhook_id,
            col(WebhookDelivery.state) == DeliveryState.PENDING,
            col(WebhookDelivery.next_at) < until,
        )
        .values(next_at=until)
    )


def forget_finished(session: Session, before: datetime) -> None:
    """Remove deliveries that ended before a moment."""
    session.execute(
        delete(WebhookDelivery).where(
            col(WebhookDelivery.finished_at).is_not(None),
            col(WebhookDelivery.finished_at) < before,
        )
    )
