"""Keys, sessions and links: make them, find the caller behind them, end them."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlmodel import Session

from neuroscan.contracts.access import KeyCreate, KeyList, KeyView, LinkView, NewKey, SessionView
from neuroscan.contracts.enums import Role
from neuroscan.contracts.problems import InvalidRequest, NotFound, Unauthenticated
from neuroscan.telemetry import get_logger
from services.gateway.audit import record as audit
from services.gateway.audit.record import Action, ObjectKind
from services.gateway.auth import repository
from services.gateway.auth.oidc import OidcVerifier
from services.gateway.auth.principal import Principal
from services.gateway.auth.secrets import ServerSecret, new_token, same
from services.gateway.db.session import one_statement, transaction
from services.gateway.db.tables import ApiKey, BrowserSession, LinkCode, now
from services.gateway.idempotency.once import OnceOnly
from services.gateway.moments import in_utc

KEY_PREFIX = "nsk"
SESSION_LIFETIME = timedelta(hours=12)
LINK_LIFETIME = timedelta(minutes=10)
_KEY = re.compile(rf"{KEY_PREFIX}_([a-z0-9]{{1,32}})_([A-Za-z0-9_-]{{43}})")

log = get_logger(__name__)


@dataclass(frozen=True)
class Opened:
    """A new session: what the page sees of it, and the cookie's value."""

    view: SessionView
    token: str


class AccessService:
    """Keys, sessions and links, over the ledger."""

    def __init__(
        self, engine: Engine, secret: ServerSecret, oidc: OidcVerifier | None = None
    ) -> None:
        self._engine = engine
        self._secret = secret
        self._oidc = oidc

    def by_bearer(self, text: str) -> Principal:
        """The caller with this API key or this token of the identity provider.

        Raises `Unauthenticated`, and what `OidcVerifier.identify` raises for a token.
        """
        if self._oidc is None or text.startswith(f"{KEY_PREFIX}_"):
            return self.by_key(text)
        return self._oidc.identify(text).principal

    def by_key(self, text: str) -> Principal:
        """The caller with this API key; raises `Unauthenticated`."""
        parts = _KEY.fullmatch(text)
        if parts is None:
            raise Unauthenticated
        key_id, secret = parts.groups()
        with one_statement(self._engine) as session:
            key = repository.live_key(session, key_id)
        if key is None or not same(key.secret_mac, self._key_mac(key_id, secret)):
            raise Unauthenticated
        if repository.use_is_to_be_noted(key):
            with one_statement(self._engine) as session:
                repository.note_use(session, key)
        return _principal_of(key.id, key.role)

    def by_cookie(self, token: str) -> Principal:
        """The caller with this session; raises `Unauthenticated`."""
        mac = self._secret.mac("session", token)
        with one_statement(self._engine) as session:
            found = repository.open_session(session, mac)
        if found is None:
            raise Unauthenticated(repository.SESSION_ENDED)
        return Principal(found.principal, Role(found.role), found.key_id, mac)

    def csrf_token(self, token: str) -> str:
        """What a page with this session sends beside its cookie."""
        return self._secret.mac("csrf", token)

    def create_key(self, new: KeyCreate, by: Principal, once: OnceOnly | None = None) -> NewKey:
        """A new key; its secret is in the answer and nowhere else."""
        expires_at = in_utc("expires_at", new.expires_at) if new.expires_at else None
        if expires_at is not None and expires_at <= now():
            raise InvalidRequest("`expires_at` must lie in the future.")
        new = new.model_copy(update={"expires_at": expires_at})
        key, text = self._make(new, secrets.token_hex(6), by.id)
        made = NewKey(**_view(key).model_dump(), key=text)
        with transaction(self._engine) as session:
            repository.put_key(session, key)
            _note(session, by, Action.CREATED, key.id)
            if once is not None:
                once.keep(session, made)
        log.info("key.created", key_id=key.id, role=key.role, by=by.id)
        return made

    def put_key(self, key_id: str, name: str, role: Role, text: str) -> None:
        """Make a key whose text is known already, such as the local one, the valid one."""
        parts = _KEY.fullmatch(text)
        if parts is None or parts[1] != key_id:
            raise InvalidRequest(f"This is no key with the id {key_id}.")
        key = ApiKey(
            id=key_id,
            name=name,
            role=role,
            secret_mac=self._key_mac(key_id, parts[2]),
            created_by=f"key:{key_id}",
        )
        with transaction(self._engine) as session:
            repository.put_key(session, key)

    def keys(self) -> KeyList:
        """Every key, without secrets."""
        with transaction(self._engine) as session:
            return KeyList(items=[_view(key) for key in repository.list_keys(session)])

    def revoke_key(self, key_id: str, by: Principal) -> None:
        """End a key and its sessions at once; raises `NotFound`."""
        with transaction(self._engine) as session:
            if not repository.revoke_key(session, key_id):
                raise NotFound("No valid key has this id. It may have been revoked already.")
            _note(session, by, Action.DELETED, key_id)
        log.info("key.revoked", key_id=key_id, by=by.id)

    def open_with_key(self, text: str) -> Opened:
        """A session for a page whose user typed a key; raises `Unauthenticated`."""
        return self.open_session(self.by_key(text))

    def open_with_code(self, code: str) -> Opened:
        """A session for a page that came by a link; raises `Unauthenticated`."""
        with transaction(self._engine) as session:
            key_id = repository.use_link(session, self._secret.mac("link", code))
            key = repository.live_key(session, key_id) if key_id else None
        if key is None:
            raise Unauthenticated("The link was used already or is too old. Ask for another.")
        return self.open_session(_principal_of(key.id, key.role))

    def open_with_token(self, text: str) -> Opened:
        """A session for a page whose user signed in elsewhere; ends with the token at the latest.

        Raises what `OidcVerifier.identify` raises, `Unauthenticated` without a provider.
        """
        if self._oidc is None:
            raise Unauthenticated("No identity provider is set up here. Use an API key.")
        identity = self._oidc.identify(text)
        return self.open_session(identity.principal, until=identity.expires_at)

    def open_session(self, principal: Principal, until: datetime | None = None) -> Opened:
        """A session of a caller who has proved who it is."""
        token = new_token()
        longest = now() + SESSION_LIFETIME
        row = BrowserSession(
            token_mac=self._secret.mac("session", token),
            principal=principal.id,
            role=principal.role,
            key_id=principal.key_id,
            expires_at=min(longest, until) if until else longest,
        )
        with transaction(self._engine) as session:
            repository.forget_ended(session)
            session.add(row)
        log.info("session.opened", principal=principal.id)
        return Opened(self._session_view(principal, token, row.expires_at), token)

    def session_view(self, token: str) -> SessionView:
        """A cookie's session; raises `Unauthenticated`."""
        principal = self.by_cookie(token)
        with transaction(self._engine) as session:
            row = session.get(BrowserSession, self._secret.mac("session", token))
        if row is None:
            raise Unauthenticated(repository.SESSION_ENDED)
        return self._session_view(principal, token, row.expires_at)

    def close_session(self, token: str) -> None:
        """End a session; one that has ended already is no error."""
        with transaction(self._engine) as session:
            repository.close_session(session, self._secret.mac("session", token))

    def new_link(self, by: Principal, once: OnceOnly | None = None) -> LinkView:
        """A code that opens one session of the caller's key; raises `InvalidRequest`."""
        if by.key_id is None:
            raise InvalidRequest("Only a caller with an API key can make a link.")
        code = new_token()
        row = LinkCode(
            code_mac=self._secret.mac("link", code),
            key_id=by.key_id,
            expires_at=now() + LINK_LIFETIME,
        )
        link = LinkView(code=code, expires_at=row.expires_at)
        with transaction(self._engine) as session:
            session.add(row)
            if once is not None:
                once.keep(session, link)
        return link

    def _make(self, new: KeyCreate, key_id: str, by: str) -> tuple[ApiKey, str]:
        secret = new_token()
        key = ApiKey(
            id=key_id,
            name=new.name,
            role=new.role,
            secret_mac=self._key_mac(key_id, secret),
            created_by=by,
            expires_at=new.expires_at,
        )
        return key, f"{KEY_PREFIX}_{key_id}_{secret}"

    def _key_mac(self, key_id: str, secret: str) -> str:
        return self._secret.mac("key", f"{key_id}\n{secret}")

    def _session_view(self, principal: Principal, token: str, expires_at: datetime) -> SessionView:
        return SessionView(
            principal=principal.id,
            role=principal.role,
            csrf_token=self.csrf_token(token),
            expires_at=expires_at,
        )


def _note(session: Session, by: Principal, action: Action, key_id: str) -> None:
    # A key's id is no UUID, as the audit's objects have: the row names its principal.
    audit.note(session, by, action, ObjectKind.KEY, None, [f"key:{key_id}"])


def _principal_of(key_id: str, role: str) -> Principal:
    return Principal(id=f"key:{key_id}", role=Role(role), key_id=key_id)


def _view(key: ApiKey) -> KeyView:
    return KeyView(
        id=key.id,
        name=key.name,
        role=Role(key.role),
        created_by=key.created_by,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
    )
