"""All SQL about keys, sessions and links."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, func, not_, or_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, delete, select

from neuroscan.contracts.problems import Unauthenticated
from services.gateway.auth.principal import Principal
from services.gateway.db.tables import ApiKey, BrowserSession, LinkCode, now

# How the id of a principal begins that is an API key.
KEY_OWNER = "key:"
SESSION_ENDED = "The session has ended. Sign in again."
# `last_used_at` is written at most this often.
_USE_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class OpenSession:
    """A session that has not ended, with the role of today of the key behind it."""

    principal: str
    role: str
    key_id: str | None


def live_key(session: Session, key_id: str) -> ApiKey | None:
    """A key that is neither revoked nor expired."""
    return session.exec(select(ApiKey).where(ApiKey.id == key_id, *key_lives())).one_or_none()


def use_is_to_be_noted(key: ApiKey) -> bool:
    """Whether the last use that was noted is a while ago."""
    return key.last_used_at is None or now() - key.last_used_at > _USE_NOTED_EVERY


def note_use(session: Session, key: ApiKey) -> None:
    """Note that a key was used."""
    session.execute(update(ApiKey).where(col(ApiKey.id) == key.id).values(last_used_at=now()))


def list_keys(session: Session) -> list[ApiKey]:
    """Every key, newest first, revoked ones too."""
    return list(session.exec(select(ApiKey).order_by(col(ApiKey.created_at).desc())))


def put_key(session: Session, key: ApiKey) -> None:
    """Insert a key, or give the one with this id a new secret and life."""
    values = key.model_dump()
    changed = {name: values[name] for name in ("name", "role", "secret_mac", "expires_at")}
    session.execute(
        insert(ApiKey)
        .values(values)
        .on_conflict_do_update(index_elements=["id"], set_=changed | {"revoked_at": None})
    )


def revoke_key(session: Session, key_id: str) -> bool:
    """End a key and its sessions for good; False when no live key has this id."""
    ended = session.execute(
        update(ApiKey)
        .where(col(ApiKey.id) == key_id, col(ApiKey.revoked_at).is_(None))
        .values(revoked_at=now())
        .returning(col(ApiKey.id))
    ).scalar_one_or_none()
    session.execute(delete(BrowserSession).where(col(BrowserSession.key_id) == key_id))
    session.execute(delete(LinkCode).where(col(LinkCode.key_id) == key_id))
    return ended is not None


def open_session(session: Session, token_mac: str) -> OpenSession | None:
    """The session of a cookie, unless it or its key has ended."""
    row = session.exec(
        select(BrowserSession, ApiKey)
        .join(ApiKey, col(ApiKey.id) == col(BrowserSession.key_id), isouter=True)
        .where(
            BrowserSession.token_mac == token_mac,
            col(BrowserSession.expires_at) > now(),
            or_(col(BrowserSession.key_id).is_(None), and_(*key_lives())),
        )
    ).one_or_none()
    if row is None:
        return None
    found = row[0]
    # Missing where no key opened the session, although the join's type does not say so.
    key: ApiKey | None = row[1]
    return OpenSession(found.principal, key.role if key else found.role, found.key_id)


def close_session(session: Session, token_mac: str) -> None:
    """End a session."""
    session.execute(delete(BrowserSession).where(col(BrowserSession.token_mac) == token_mac))


def use_link(session: Session, code_mac: str) -> str | None:
    """Use up a link's code: the id of its key; None for one that is unknown, used or too old."""
    return session.execute(
        delete(LinkCode)
        .where(col(LinkCode.code_mac) == code_mac, col(LinkCode.expires_at) > now())
        .returning(col(LinkCode.key_id))
    ).scalar_one_or_none()


def forget_ended(session: Session) -> None:
    """Remove sessions and links whose time is over."""
    session.execute(delete(BrowserSession).where(col(BrowserSession.expires_at) < now()))
    session.execute(delete(LinkCode).where(col(LinkCode.expires_at) < now()))


def require_live(session: Session, by: Principal) -> None:
    """Raise `Unauthenticated` when session or key have ended since the request was let in."""
    if by.session_mac is not None:
        if open_session(session, by.session_mac) is None:
            raise Unauthenticated(SESSION_ENDED)
    elif by.key_id is not None and live_key(session, by.key_id) is None:
        raise Unauthenticated("The API key has ended.")


def owner_lives(owner: Mapped[str]) -> ColumnElement[bool]:
    """The condition that a principal is no API key, or one that is neither revoked nor expired."""
    key_id = func.substr(owner, len(KEY_OWNER) + 1)
    of_key = select(ApiKey.id).where(col(ApiKey.id) == key_id, *key_lives()).exists()
    return or_(not_(owner.startswith(KEY_OWNER)), of_key)


def key_lives() -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The conditions that a key is neither revoked nor expired."""
    expires = col(ApiKey.expires_at)
    return (col(ApiKey.revoked_at).is_(None), or_(expires.is_(None), expires > now()))
