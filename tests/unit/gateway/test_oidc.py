"""An identity provider's tokens, checked against a real server of keys."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from neuroscan.contracts.enums import Role
from neuroscan.contracts.problems import Forbidden, Unauthenticated, Unavailable
from neuroscan.settings import OidcSettings
from services.gateway.auth.jwks import ALGORITHMS, Jwks, Timing
from services.gateway.auth.oidc import LEEWAY_S, OidcVerifier
from tests.token_server import AUDIENCE, TokenServer, new_key, public_jwk, public_pem

ROLES = {"senders": Role.SUBMITTER, "readers": Role.CLINICIAN, "admins": Role.ADMIN}
# Nothing is held back, so that a test need not wait.
EAGER = Timing(cooldown_s=0)


@pytest.fixture
def provider() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


@pytest.fixture
def verifier(provider: TokenServer) -> Iterator[OidcVerifier]:
    made = make(provider)
    yield made
    made.close()


def make(
    provider: TokenServer,
    timing: Timing = EAGER,
    *,
    discover: bool = True,
    role_claim: str = "roles",
) -> OidcVerifier:
    keys = Jwks(provider.issuer, None if discover else provider.jwks_url, timing)
    return OidcVerifier(
        keys, issuer=provider.issuer, audience=AUDIENCE, role_claim=role_claim, roles=ROLES
    )


def accepted(verifier: OidcVerifier, token: str) -> None:
    assert verifier.identify(token).principal.role is Role.CLINICIAN


def refused(verifier: OidcVerifier, token: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.identify(token)


def unsigned(claims: dict[str, object], header: dict[str, object]) -> str:
    parts = [json.dumps(part).encode() for part in (header, claims)]
    return b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts).decode()


def claims_of(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return claims


def test_a_good_token_names_its_bearer_by_a_digest(
    provider: TokenServer, verifier: OidcVerifier
) -> None:
    token = provider.token(sub="jane.doe@hospital.example", name="Jane Doe")
    identity = verifier.identify(token)
    digest = hashlib.sha256(f"{provider.issuer}\njane.doe@hospital.example".encode()).hexdigest()
    assert identity.principal.id == f"oidc:{digest[:32]}"
    assert identity.principal.role is Role.CLINICIAN
    assert identity.principal.key_id is None
    assert identity.expires_at.timestamp() == claims_of(token)["exp"]
    assert verifier.identify(provider.token(sub="someone")).principal.id != identity.principal.id


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_asymmetric_algorithm_is_taken(
    provider: TokenServer, verifier: OidcVerifier, algorithm: str
) -> None:
    provider.add_key("k", algorithm)
    assert verifier.identify(provider.token("k", algorithm)).principal.role is Role.CLINICIAN


@pytest.mark.parametrize("discover", [True, False])
def test_keys_are_found_by_discovery_or_named(provider: TokenServer, discover: bool) -> None:
    verifier = make(provider, Timing(), discover=discover)
    for _ in range(3):
        verifier.identify(provider.token())
    wanted = ["/.well-known/openid-configuration", "/keys"] if discover else ["/keys"]
    assert provider.fetches == wanted
    verifier.close()


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": ["another", "third"]},
        {"aud": None},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"exp": -1},
        {"nbf": time.time() + 3600},
        {"iat": time.time() + 3600},
        {"sub": None},
        {"sub": ""},
    ],
)
def test_a_claim_that_is_off_is_refused(
    provider: TokenServer, verifier: OidcVerifier, claims: dict[str, Any]
) -> None:
    refused(verifier, provider.token(**claims))


def test_an_expired_token_is_good_for_the_leeway_and_no_longer(
    provider: TokenServer, verifier: OidcVerifier
) -> None:
    accepted(verifier, provider.token(exp=int(time.time()) - LEEWAY_S + 10))
    refused(verifier, provider.token(exp=int(time.time()) - LEEWAY_S - 1))


def test_an_audience_among_several_is_enough(provider: TokenServer, verifier: OidcVerifier) -> None:
    accepted(verifier, provider.token(aud=["another", AUDIENCE]))


def test_a_token_without_a_signature_is_refused(
    provider: TokenServer, verifier: OidcVerifier
) -> None:
    claims = claims_of(provider.token())
    for name in ("none", "None", "NONE", ""):
        refused(verifier, unsigned(claims, {"alg": name, "kid": "first"}) + ".")
    refused(verifier, unsigned(claims, {"kid": "first"}) + ".")
    assert provider.fetches == []


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_public_key_is_no_shared_secret(
    provider: TokenServer, verifier: OidcVerifier, algorithm: str
) -> None:
    provider.add_key("k", algorithm)
    claims = claims_of(provider.token("k", algorithm))
    for name, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
        text = unsigned(claims, {"alg": name, "kid": "k"})
        signature = hmac.new(public_pem(provider.keys["k"]), text.encode(), digest).digest()
        refused(verifier, f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}")


def test_a_symmetric_key_among_the_published_is_not_used(
    provider: TokenServer, verifier: OidcVerifier
) -> None:
    secret = base64.urlsafe_b64encode(b"s" * 32).decode()
    provider.published.append({"kty": "oct", "kid": "shared", "k": secret, "alg": "HS256"})
    token = jwt.encode(claims_of(provider.token()), b"s" * 32, "HS256", {"kid": "shared"})
    refused(verifier, token)


def test_another_key_under_a_known_id_is_refused(
    provider: TokenServer, verifier: OidcVerifier
) -> None:
    accepted(verifier, provider.token())
    provider.keys["first"] = new_key("ES256")
    refused(verifier, provider.token())


def test_a_key_is_good_for_its_own_algorithm_only(
    provider: TokenServer, verifier: OidcVerifier
) -> None:
    provider.add_key("k", "RS256")
    refused(verifier, provider.token("k", "RS512"))
    refused(verifier, provider.token("k", "PS256"))


def test_a_key_for_encryption_checks_no_signature(
    provider: TokenServer, verifier: OidcVerifier
) -> None:
    provider.published = [{**provider.published[0], "use": "enc"}]
    provider.add_key("other")
    refused(verifier, provider.token())


@pytest.mark.parametrize("change", ["payload", "signature"])
def test_a_changed_token_is_refused(
    provider: TokenServer, verifier: OidcVerifier, change: str
) -> None:
    header, payload, signature = provider.token().split(".")
    if change == "payload":
        claims = {**claims_of(f"{header}.{payload}.{signature}"), "roles": ["admins"]}
        payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    else:
        signature = signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB")
    refused(verifier, f"{header}.{payload}.{signature}")


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "nsk", "é.é.é", "x" * 20_000, "eyJhbGciOiJFUzI1NiJ9.e30."]
)
def test_what_is_no_token_is_refused(
    provider: TokenServer, verifier: OidcVerifier, text: str
) -> None:
    refused(verifier, text)
    assert provider.fetches == []


@pytest.mark.parametrize("kid", [None, 7, ["first"], {"a": 1}, ""])
def test_a_token_without_a_key_id_is_refused(
    provider: TokenServer, verifier: OidcVerifier, kid: object
) -> None:
    refused(verifier, f"{unsigned(claims_of(provider.token()), {'alg': 'ES256', 'kid': kid})}.AA")


def test_odd_claims_break_nothing(provider: TokenServer, verifier: OidcVerifier) -> None:
    assert verifier.identify(provider.token(exp=10**30)).expires_at.year == 2100
    assert verifier.identify(provider.token(sub="\ud800")).principal.id.startswith("oidc:")
    refused(verifier, provider.token(sub=["a"]))
    refused(verifier, provider.token(exp=float("inf")))


def test_a_rotated_key_is_fetched_when_its_first_token_comes(provider: TokenServer) -> None:
    verifier = make(provider, EAGER, discover=False)
    old = provider.token()
    verifier.identify(old)
    provider.published = []
    provider.add_key("second")
    accepted(verifier, provider.token("second"))
    refused(verifier, old)
    verifier.close()


def test_unknown_key_ids_cause_one_fetch_in_a_while(provider: TokenServer) -> None:
    verifier = make(provider, Timing(cooldown_s=0.5), discover=False)
    verifier.identify(provider.token())
    provider.keys["unknown"] = new_key("ES256")
    for _ in range(20):
        refused(verifier, provider.token("unknown"))
    assert len(provider.fetches) == 1
    time.sleep(0.6)
    for _ in range(20):
        refused(verifier, provider.token("unknown"))
    assert len(provider.fetches) == 2
    # Those with a known key are not kept waiting meanwhile.
    accepted(verifier, provider.token())
    verifier.close()


def test_simultaneous_first_tokens_cause_one_fetch(provider: TokenServer) -> None:
    verifier = make(provider, Timing(), discover=False)
    token = provider.token()
    threads = [threading.Thread(target=verifier.identify, args=(token,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert provider.fetches == ["/keys"]
    verifier.close()


def test_keys_serve_on_while_the_provider_is_away(provider: TokenServer) -> None:
    verifier = make(provider, Timing(fresh_s=0, cooldown_s=0), discover=False)
    verifier.identify(provider.token())
    provider.answers["/keys"] = 503
    accepted(verifier, provider.token())
    provider.keys["second"] = new_key("ES256")
    # It may be a new key of theirs: that is not for us to say now.
    with pytest.raises(Unavailable):
        verifier.identify(provider.token("second"))
    verifier.close()


def test_keys_of_yesterday_are_not_used(provider: TokenServer) -> None:
    verifier = make(provider, Timing(fresh_s=0, usable_s=0.2, cooldown_s=0), discover=False)
    verifier.identify(provider.token())
    provider.answers["/keys"] = 503
    time.sleep(0.3)
    with pytest.raises(Unavailable):
        verifier.identify(provider.token())
    del provider.answers["/keys"]
    accepted(verifier, provider.token())
    verifier.close()


@pytest.mark.parametrize(
    "answer",
    [404, 302, b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"x" * (2 * 1024 * 1024)],
)
def test_an_answer_without_keys_is_no_reason_to_call_a_token_bad(
    provider: TokenServer, answer: bytes | int
) -> None:
    verifier = make(provider, discover=False)
    provider.answers["/keys"] = answer
    with pytest.raises(Unavailable):
        verifier.identify(provider.token())
    verifier.close()


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://elsewhere.example", "jwks_uri": "{issuer}/keys"},
        {"issuer": "{issuer}", "jwks_uri": "http://elsewhere.example/keys"},
        {"issuer": "{issuer}", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "{issuer}"},
    ],
)
def test_a_discovery_document_of_another_is_not_followed(
    provider: TokenServer, document: dict[str, str]
) -> None:
    verifier = make(provider)
    filled = {name: value.replace("{issuer}", provider.issuer) for name, value in document.items()}
    provider.answers["/.well-known/openid-configuration"] = json.dumps(filled).encode()
    with pytest.raises(Unavailable):
        verifier.identify(provider.token())
    assert "/keys" not in provider.fetches
    verifier.close()


def test_a_provider_that_hangs_is_not_waited_for_twice() -> None:
    # A port that takes connections and says nothing.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
        keys = Jwks(issuer, f"{issuer}/keys", Timing(timeout_s=0.5, cooldown_s=30))
        began = time.monotonic()
        for _ in range(5):
            with pytest.raises(Unavailable):
                keys.key("first")
        assert time.monotonic() - began < 1.5
        keys.close()


def test_who_has_an_old_key_does_not_wait_for_another_ones_fetch(provider: TokenServer) -> None:
    keys = Jwks(provider.issuer, provider.jwks_url, Timing(fresh_s=0, cooldown_s=0, timeout_s=2))
    key_id = jwt.get_unverified_header(provider.token())["kid"]
    assert keys.key(key_id) is not None
    fetches = len(provider.fetches)
    # As if a fetch were going on and the provider hung.
    with keys._lock:
        began = time.monotonic()
        assert keys.key(key_id) is not None
        assert time.monotonic() - began < 1
    assert len(provider.fetches) == fetches
    assert keys.key(key_id) is not None
    assert len(provider.fetches) == fetches + 1
    keys.close()


@pytest.mark.parametrize(
    ("given", "role"),
    [
        (["senders"], Role.SUBMITTER),
        (["readers", "others"], Role.CLINICIAN),
        (["senders", "admins", "readers"], Role.ADMIN),
        ("admins", Role.ADMIN),
    ],
)
def test_the_highest_role_that_the_claim_gives_counts(
    provider: TokenServer, verifier: OidcVerifier, given: object, role: Role
) -> None:
    assert verifier.identify(provider.token(roles=given)).principal.role is role


@pytest.mark.parametrize(
    "given", [None, [], "", ["others"], "admin", 7, {"admins": True}, [["admins"]]]
)
def test_a_token_that_gives_no_role_is_forbidden(
    provider: TokenServer, verifier: OidcVerifier, given: object
) -> None:
    with pytest.raises(Forbidden):
        verifier.identify(provider.token(roles=given))


def test_the_role_claim_may_lie_deeper_or_be_a_url(provider: TokenServer) -> None:
    deep = make(provider, role_claim="realm_access.roles")
    token = provider.token(realm_access={"roles": ["admins"]})
    assert deep.identify(token).principal.role is Role.ADMIN
    name = "https://neuroscan.example/roles"
    url = make(provider, role_claim=name)
    claims: dict[str, Any] = {name: ["admins"]}
    assert url.identify(provider.token(**claims)).principal.role is Role.ADMIN
    with pytest.raises(Forbidden):
        deep.identify(provider.token(realm_access=["admins"]))
    deep.close()
    url.close()


def test_no_issuer_means_no_verifier() -> None:
    assert OidcVerifier.from_settings(OidcSettings()) is None


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OIDC_ISSUER", "https://login.example/realm")
    with pytest.raises(ValueError, match="OIDC_AUDIENCE"):
        OidcSettings()
    monkeypatch.setenv("OIDC_AUDIENCE", AUDIENCE)
    monkeypatch.setenv("OIDC_JWKS_URL", "")
    monkeypatch.setenv("OIDC_ROLES", "neuroscan-admins=admin, cn=readers=clinician,")
    settings = OidcSettings()
    assert settings.oidc_roles == {"neuroscan-admins": Role.ADMIN, "cn=readers": Role.CLINICIAN}
    assert settings.oidc_jwks_url is None
    monkeypatch.setenv("OIDC_ROLES", "neuroscan-admins=root")
    with pytest.raises(ValueError, match="oidc_roles"):
        OidcSettings()


@pytest.mark.parametrize("url", ["http://login.example", "ftp://127.0.0.1", "login.example", "x"])
def test_an_issuer_without_tls_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    for name in ("OIDC_ISSUER", "OIDC_JWKS_URL"):
        with monkeypatch.context() as patch:
            patch.setenv(name, url)
            with pytest.raises(ValueError, match="https"):
                OidcSettings()


def test_a_weak_key_is_refused(provider: TokenServer, verifier: OidcVerifier) -> None:
    provider.keys["weak"] = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    provider.published.append(public_jwk(provider.keys["weak"], "weak", "RS256"))
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = provider.token("weak", "RS256")
    refused(verifier, token)
