"""All SQL about idempotency keys."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, delete

from neuroscan.contracts.problems import IdempotencyInProgress
from services.gateway.db.session import at_end
from services.gateway.db.tables import IdempotencyKey, now


@dataclass(frozen=True)
class KeyUse:
    """One use of an idempotency key."""

    principal: str
    route: str
    key: str
    fingerprint: str

    def matches(self) -> ColumnElement[bool]:
        """The SQL condition for this key's row."""
        return and_(
            col(IdempotencyKey.principal) == self.principal,
            col(IdempotencyKey.route) == self.route,
            col(IdempotencyKey.key) == self.key,
        )


def claim_key(session: Session, use: KeyUse, *, hold: timedelta, lifetime: timedelta) -> bool:
    """Insert the key, or take over one that has expired or whose holder died; False otherwise.

    One statement, so that of simultaneous requests only one succeeds.
    """
    moment = now()
    row = {
        "principal": use.principal,
        "route": use.route,
        "key": use.key,
        "fingerprint": use.fingerprint,
        "bound": False,
        "scan_id": None,
        "batch_id": None,
        "patient_id": None,
        "response": None,
        "held_until": moment + hold,
        "expires_at": moment + lifetime,
    }
    free = or_(
        col(IdempotencyKey.expires_at) < moment,
        and_(col(IdempotencyKey.bound).is_(False), col(IdempotencyKey.held_until) < moment),
    )
    statement = (
        insert(IdempotencyKey)
        .values(row)
        .on_conflict_do_update(
            index_elements=["principal", "route", "key"],
            set_={
                name: value
                for name, value in row.items()
                if name not in ("principal", "route", "key")
            },
            where=free,
        )
        .returning(col(IdempotencyKey.key))
    )
    return session.execute(statement).scalar_one_or_none() is not None


def key_row(session: Session, use: KeyUse) -> IdempotencyKey | None:
    """The key's row as it is now."""
    return session.get(IdempotencyKey, (use.principal, use.route, use.key))


def bind_key(
    session: Session,
    use: KeyUse,
    *,
    scan_id: str | None = None,
    batch_id: str | None = None,
    patient_id: str | None = None,
    response: bytes | None = None,
) -> None:
    """Say what the key's request made, in the same transaction.

    What it made need not be written yet. Raises `IdempotencyInProgress` when another request took
    the key over in the meantime.
    """
    unbound = col(IdempotencyKey.bound).is_(False)
    with session.no_autoflush:
        bound = session.execute(
            update(IdempotencyKey)
            .where(use.matches(), unbound, col(IdempotencyKey.fingerprint) == use.fingerprint)
            .values(bound=True, response=response)
            .returning(col(IdempotencyKey.key))
        )
    if bound.scalar_one_or_none() is None:
        raise IdempotencyInProgress(retry_after_s=1)
    made = {"scan_id": scan_id, "batch_id": batch_id, "patient_id": patient_id}
    at_end(session, update(IdempotencyKey).where(use.matches()).values(made))


def release_key(session: Session, use: KeyUse) -> None:
    """Forget a key whose request came to nothing, so that it can be used again."""
    session.execute(
        delete(IdempotencyKey).where(use.matches(), col(IdempotencyKey.bound).is_(False))
    )
