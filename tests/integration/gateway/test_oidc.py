"""Tokens of an identity provider at a running gateway that is told of it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from neuroscan.stack import Stack
from tests.integration.gateway.own_gateway import own_gateway
from tests.token_server import AUDIENCE, TokenServer


@pytest.fixture(scope="module")
def provider() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(stack: Stack, provider: TokenServer) -> Iterator[str]:
    """A second gateway on the stack's servers, which knows the provider; its address."""
    with own_gateway(
        stack,
        OIDC_ISSUER=provider.issuer,
        OIDC_AUDIENCE=AUDIENCE,
        OIDC_ROLE_CLAIM="groups",
        OIDC_ROLES="mri-admins=admin,mri-readers=clinician,mri-senders=submitter",
    ) as running:
        yield running.url


@pytest.fixture
def http(gateway: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway, trust_env=False) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("group", "allowed"),
    [
        ("mri-admins", ("/v1/scans", "/v1/patients", "/v1/keys")),
        ("mri-readers", ("/v1/scans", "/v1/patients")),
        ("mri-senders", ("/v1/scans",)),
    ],
)
def test_a_token_does_what_its_role_may(
    http: httpx.Client, provider: TokenServer, group: str, allowed: tuple[str, ...]
) -> None:
    headers = bearer(provider.token(groups=[group]))
    for path in ("/v1/scans", "/v1/patients", "/v1/keys"):
        assert http.get(path, headers=headers).status_code == (200 if path in allowed else 403)


def test_a_token_without_a_role_is_forbidden(http: httpx.Client, provider: TokenServer) -> None:
    answer = http.get("/v1/scans", headers=bearer(provider.token(groups=["others"])))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_bad_token_is_unauthenticated(http: httpx.Client, provider: TokenServer) -> None:
    bad = [
        provider.token(groups=["mri-admins"], aud="another"),
        provider.token(groups=["mri-admins"], exp=1),
        provider.token(groups=["mri-admins"])[:-6] + "AAAAAA",
        "nonsense",
    ]
    for token in bad:
        answer = http.get("/v1/scans", headers=bearer(token))
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert http.post("/v1/session", json={"token": token}).status_code == 401


def test_a_key_works_beside_it(http: httpx.Client, stack: Stack) -> None:
    assert http.get("/v1/keys", headers=bearer(stack.key)).status_code == 200
    wrong = stack.key[:-4] + "AAAA"
    assert http.get("/v1/keys", headers=bearer(wrong)).status_code == 401


def test_a_session_ends_no_later_than_its_token(http: httpx.Client, provider: TokenServer) -> None:
    ends = int(time.time()) + 3
    opened = http.post(
        "/v1/session", json={"token": provider.token(groups=["mri-readers"], exp=ends)}
    )
    assert opened.status_code == 200, opened.text
    view = opened.json()
    assert view["principal"].startswith("oidc:")
    assert view["role"] == "clinician"
    assert datetime.fromisoformat(view["expires_at"]) == datetime.fromtimestamp(ends, UTC)
    assert (
        "Max-Age=2" in opened.headers["Set-Cookie"] or "Max-Age=3" in opened.headers["Set-Cookie"]
    )
    token = opened.cookies["neuroscan_session"]
    cookie = {"Cookie": f"neuroscan_session={token}"}
    assert http.get("/v1/patients", headers=cookie).status_code == 200
    assert http.get("/v1/keys", headers=cookie).status_code == 403
    time.sleep(ends - time.time() + 0.5)
    assert http.get("/v1/patients", headers=cookie).status_code == 401


def test_a_long_token_opens_a_session_of_the_usual_length(
    http: httpx.Client, provider: TokenServer
) -> None:
    token = provider.token(groups=["mri-readers"], exp=int(time.time()) + 90_000)
    view = http.post("/v1/session", json={"token": token}).json()
    left = datetime.fromisoformat(view["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=11, minutes=59) < left <= timedelta(hours=12)


def test_a_token_opens_nothing_where_no_provider_is_set_up(
    api: httpx.Client, provider: TokenServer
) -> None:
    token = provider.token(roles=["admins"])
    anonymous = {"Authorization": ""}
    assert api.get("/v1/scans", headers=bearer(token)).status_code == 401
    answer = httpx.post(
        f"{api.base_url}/v1/session", json={"token": token}, headers=anonymous, trust_env=False
    )
    assert answer.status_code == 401


def test_a_gateway_with_half_a_provider_does_not_start(stack: Stack) -> None:
    environment = {
        **os.environ,
        "SERVER_SECRET_FILE": str(stack.folder.server_secret),
        "OIDC_ISSUER": "https://login.example",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "services.gateway"],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "OIDC_AUDIENCE" in ended.stderr
