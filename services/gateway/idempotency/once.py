"""`Idempotency-Key` on any POST that makes something: done once, answered the same each time.

An endpoint takes `once: Once` and hands it to its service, which calls `once.keep` in the very
transaction that makes the thing: thing and answer are there together, or neither is. A second
request with the key does not reach the endpoint; the first one's answer is sent again.
"""

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Depends, FastAPI, Header, Request, Response
from sqlalchemy import Engine
from sqlmodel import Session
from starlette.datastructures import URL

from neuroscan.contracts.base import Contract
from neuroscan.contracts.problems import (
    IdempotencyConflict,
    IdempotencyInProgress,
    NeuroscanError,
    Unavailable,
)
from neuroscan.settings import GatewaySettings
from services.gateway.auth.principal import CurrentPrincipal
from services.gateway.auth.secrets import ServerSecret, UndecipherableError
from services.gateway.errors import header
from services.gateway.idempotency import claims
from services.gateway.idempotency.repository import KeyUse, bind_key

# For a route's `responses(...)`, and for the headers of its success.
KEY_PROBLEMS: tuple[type[NeuroscanError], ...] = (IdempotencyConflict, IdempotencyInProgress)
REPLAYED_HEADER = "Idempotency-Replayed"
REPLAYED: dict[str, Any] = {
    REPLAYED_HEADER: header("`true` when this is the answer to an earlier request with the key")
}
# Second requests wait for the first ones; other calls keep threads of their own.
_CLAIMS = CapacityLimiter(16)


class Answer(Contract):
    """What the first request was answered; `body` is JSON."""

    status: int
    location: str | None
    body: str


class Replayed(Exception):
    """The request was done before: ends it with the answer of then."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("answered before")
        self.answer = answer


class Keeper:
    """Keys of requests and the answers to them, encrypted, over the ledger."""

    def __init__(self, engine: Engine, settings: GatewaySettings, secret: ServerSecret) -> None:
        self._engine = engine
        self._settings = settings
        self._secret = secret

    def claim(self, use: KeyUse) -> Answer | None:
        """Take the key: None when it is ours now, else the answer to its first request.

        Raises `IdempotencyConflict` and `IdempotencyInProgress`, as `claims.claim`.
        """
        row = claims.claim(self._engine, self._settings, use)
        if row is None:
            return None
        try:
            return Answer.model_validate_json(self._secret.decrypt(row.response or b""))
        except UndecipherableError as error:
            raise IdempotencyConflict(
                "The answer of then can't be read any more. Look for what was made; use a new key."
            ) from error

    def release(self, use: KeyUse) -> None:
        """Free a key whose request made nothing; one that is bound stays."""
        claims.release(self._engine, use)

    def seal(self, answer: Answer) -> bytes:
        """The answer as it is stored."""
        return self._secret.encrypt(answer.model_dump_json().encode())


class OnceOnly:
    """One request's claim on its key; without a key it keeps nothing."""

    def __init__(self, keeper: Keeper, use: KeyUse | None, status: int) -> None:
        self._keeper = keeper
        self._use = use
        self._status = status
        self.kept = False

    def keep(
        self,
        session: Session,
        body: Contract,
        *,
        location: str | None = None,
        scan_id: str | None = None,
        batch_id: str | None = None,
        patient_id: str | None = None,
    ) -> None:
        """Store the answer in the transaction that made what it tells of.

        It goes with the scan, batch or patient that is named. Raises `IdempotencyInProgress` when
        this request took so long that another has taken its key over.
        """
        if self._use is None:
            return
        answer = Answer(status=self._status, location=location, body=body.model_dump_json())
        bind_key(
            session,
            self._use,
            scan_id=scan_id,
            batch_id=batch_id,
            patient_id=patient_id,
            response=self._keeper.seal(answer),
        )
        self.kept = True


async def _once(
    request: Request,
    principal: CurrentPrincipal,
    idempotency_key: Annotated[
        str | None, Header(description="The same key and body again: the same answer, once done")
    ] = None,
) -> AsyncIterator[OnceOnly]:
    keeper: Keeper = request.state.keeper
    route = request.scope["route"]
    status: int = route.status_code or 200
    if idempotency_key is None:
        yield OnceOnly(keeper, None, status)
        return
    use = claims.use_of(
        idempotency_key,
        principal=principal.id,
        route=f"{request.method} {route.path}",
        print_=_fingerprint(request.url, await request.body()),
    )
    answer = await run_sync(keeper.claim, use, limiter=_CLAIMS)
    if answer is not None:
        raise Replayed(answer)
    once = OnceOnly(keeper, use, status)
    try:
        yield once
    except Exception:
        with contextlib.suppress(Unavailable):
            await run_sync(keeper.release, use, limiter=_CLAIMS)
        raise
    if not once.kept:
        await run_sync(keeper.release, use, limiter=_CLAIMS)


# Its end comes before the answer is sent.
Once = Annotated[OnceOnly, Depends(_once, scope="function")]


def install(app: FastAPI) -> None:
    """Answer a repeated request as the first one was."""
    app.add_exception_handler(Replayed, _replay)


async def _replay(_: Request, error: Exception) -> Response:
    assert isinstance(error, Replayed)
    answer = error.answer
    headers = {REPLAYED_HEADER: "true"}
    if answer.location is not None:
        headers["Location"] = answer.location
    return Response(answer.body, answer.status, headers, media_type="application/json")


def _fingerprint(url: URL, body: bytes) -> str:
    """SHA-256 over path, query and body, whose spaces and order of members don't count."""
    try:
        content = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        content = hashlib.sha256(body).hexdigest()
    return hashlib.sha256(f"{url.path}?{url.query}\n{content}".encode()).hexdigest()
