"""`/v1/session`, `/v1/links`, `/v1/keys`."""

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Request, Response

from neuroscan.contracts import problems
from neuroscan.contracts.access import (
    KeyCreate,
    KeyList,
    LinkView,
    NewKey,
    SessionCreate,
    SessionView,
)
from services.gateway.auth.middleware import COOKIE, WITH_TOKENS, session_token
from services.gateway.auth.principal import ADMIN, ANYBODY, SUBMITTER, CurrentPrincipal
from services.gateway.auth.service import Opened
from services.gateway.context import Access
from services.gateway.db.tables import now
from services.gateway.errors import Responses, header, responses
from services.gateway.idempotency.once import KEY_PROBLEMS, REPLAYED, Once

router = APIRouter(prefix="/v1", tags=["access"])

COOKIE_SET: Responses = {
    200: {"headers": {"Set-Cookie": header(f"`{COOKIE}`, HttpOnly, SameSite=Strict")}}
}
CREATED: Responses = {201: {"headers": REPLAYED}}
KeyId = Annotated[str, Path(description="The key's id", pattern="^[a-z0-9]{1,32}$")]


@router.post(
    "/session",
    dependencies=[ANYBODY],
    responses=COOKIE_SET
    | responses(
        problems.Unauthenticated,
        problems.Forbidden,
        problems.InvalidRequest,
        problems.Unavailable,
    ),
)
async def open_session(
    request: Request, response: Response, access: Access, proof: SessionCreate
) -> SessionView:
    """Sign in with an API key, a link's code, or an identity provider's token."""
    # Anybody may call this: tokens that wait for their provider get no more threads than elsewhere.
    limiter = WITH_TOKENS if proof.token is not None else None
    opened = await run_sync(_open, access, proof, limiter=limiter)
    response.set_cookie(
        COOKIE,
        opened.token,
        max_age=max(0, int((opened.view.expires_at - now()).total_seconds())),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return opened.view


@router.get("/session", dependencies=[ANYBODY], responses=responses(problems.Unauthenticated))
def read_session(request: Request, access: Access) -> SessionView:
    """The session that the cookie opens, with its token for changes."""
    return access.session_view(_token(request))


@router.delete("/session", status_code=204, dependencies=[ANYBODY])
def close_session(request: Request, response: Response, access: Access) -> None:
    """Sign out."""
    token = session_token(request.headers)
    if token is not None:
        access.close_session(token)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


@router.post(
    "/links",
    status_code=201,
    dependencies=[SUBMITTER],
    responses=CREATED | responses(problems.InvalidRequest, *KEY_PROBLEMS),
)
def create_link(access: Access, principal: CurrentPrincipal, once: Once) -> LinkView:
    """A code by which a page signs in once, as the caller, within ten minutes."""
    return access.new_link(principal, once)


@router.post(
    "/keys",
    status_code=201,
    dependencies=[ADMIN],
    responses=CREATED | responses(problems.InvalidRequest, *KEY_PROBLEMS),
)
def create_key(access: Access, principal: CurrentPrincipal, new: KeyCreate, once: Once) -> NewKey:
    """A new API key; the answer holds its secret, this once."""
    return access.create_key(new, principal, once)


@router.get("/keys", dependencies=[ADMIN])
def list_keys(access: Access) -> KeyList:
    """Every key without its secret, newest first."""
    return access.keys()


@router.delete(
    "/keys/{key_id}",
    status_code=204,
    dependencies=[ADMIN],
    responses=responses(problems.NotFound, problems.InvalidRequest),
)
def revoke_key(access: Access, principal: CurrentPrincipal, key_id: KeyId) -> None:
    """End a key and its sessions at once."""
    access.revoke_key(key_id, principal)


def _open(access: Access, proof: SessionCreate) -> Opened:
    match proof:
        case SessionCreate(key=str(key), code=None, token=None):
            return access.open_with_key(key)
        case SessionCreate(key=None, code=str(code), token=None):
            return access.open_with_code(code)
        case SessionCreate(key=None, code=None, token=str(token)):
            return access.open_with_token(token)
        case _:
            raise problems.InvalidRequest("Send one of `key`, `code` and `token`.")


def _token(request: Request) -> str:
    token = session_token(request.headers)
    if token is None:
        raise problems.Unauthenticated
    return token
