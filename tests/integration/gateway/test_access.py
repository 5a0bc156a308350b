"""Keys, sessions, links: who is let in, for how long, and what a cookie may do."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from neuroscan.contracts.access import KeyView, NewKey
from neuroscan.contracts.enums import Role
from neuroscan.stack import Stack
from services.gateway.auth.middleware import COOKIE, CSRF_HEADER
from tests import pictures
from tests.integration.gateway.access import caller, code_of, make_key
from tests.integration.gateway.calls import new_patient, submit, wait_final

REFUSED = (401, "unauthenticated")


@pytest.fixture
def key(api: httpx.Client) -> NewKey:
    """A clinician's key of the test's own."""
    return make_key(api, Role.CLINICIAN)


@pytest.fixture
def stranger(api: httpx.Client) -> Iterator[httpx.Client]:
    """A client without a key."""
    with caller(api) as client:
        yield client


@pytest.fixture
def page(api: httpx.Client, key: NewKey) -> Iterator[httpx.Client]:
    """A page that has signed in with the key, and sends its token and its origin."""
    with caller(api) as client:
        view = sign_in(client, key=key.key).json()
        client.headers.update({CSRF_HEADER: view["csrf_token"], "Origin": origin(client)})
        yield client


def sign_in(client: httpx.Client, **proof: str) -> httpx.Response:
    return client.post("/v1/session", json=proof)


def origin(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


def change(server_url: str, statement: str, *values: object) -> None:
    """Change rows behind the gateway's back: time can't be made to pass."""
    with psycopg.connect(server_url.replace("+psycopg", "")) as connection:
        assert connection.execute(statement, values).rowcount > 0


def test_only_a_valid_key_is_let_in(api: httpx.Client, key: NewKey) -> None:
    with caller(api, key.key) as known:
        assert known.get("/v1/scans?limit=1").status_code == 200
    last = "A" if key.key[-1] != "A" else "B"
    wrong = [key.key[:-1] + last, key.key.replace(key.id, "local"), key.key + "A", "nsk_", "é"]
    for sent in (f"Basic {key.key}", key.key, "Bearer", *(f"Bearer {text}" for text in wrong)):
        answer = api.get("/v1/scans?limit=1", headers=[(b"Authorization", sent.encode())])
        assert code_of(answer) == REFUSED, sent


def test_a_stranger_is_refused_before_the_body_is_read(stranger: httpx.Client) -> None:
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b" " * (1 << 16)

    try:
        answer = stranger.post("/v1/scans", content=pieces())
    except httpx.WriteError:
        # The server hung up, which is an answer too.
        assert sent < 1000
    else:
        assert code_of(answer) == REFUSED


def test_a_key_is_shown_once(api: httpx.Client, key: NewKey) -> None:
    listed = api.get("/v1/keys")
    (mine,) = [each for each in listed.json()["items"] if each["id"] == key.id]
    assert mine["role"] == Role.CLINICIAN
    assert mine["created_by"] == "key:local"
    secret = key.key.rpartition(f"nsk_{key.id}_")[2]
    assert len(secret) == 43
    assert secret not in listed.text
    assert mine.keys() == KeyView.model_fields.keys()


def test_only_the_hmac_of_a_key_is_stored(server_url: str, key: NewKey) -> None:
    with psycopg.connect(server_url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT * FROM api_key WHERE id = %s", (key.id,)).fetchone()
    assert row is not None
    assert key.key.rpartition("_")[2] not in str(row)


def test_the_secret_of_a_key_is_in_no_log(api: httpx.Client, stack: Stack, key: NewKey) -> None:
    with caller(api, key.key) as client:
        sign_in(client, key=key.key)
        assert sign_in(client, key=f"{key.key[:-1]}!").status_code == 401
    assert key.key[20:-1] not in stack.log.read_text(errors="replace")


def test_a_revoked_key_ends_at_once_with_its_sessions_and_links(
    api: httpx.Client, key: NewKey, page: httpx.Client, stranger: httpx.Client
) -> None:
    with caller(api, key.key) as known:
        code = known.post("/v1/links").json()["code"]
        assert api.delete(f"/v1/keys/{key.id}").status_code == 204
        assert code_of(known.get("/v1/scans?limit=1")) == REFUSED
    assert code_of(page.get("/v1/scans?limit=1")) == REFUSED
    assert code_of(page.get("/v1/session")) == REFUSED
    assert code_of(sign_in(stranger, code=code)) == REFUSED
    assert code_of(sign_in(stranger, key=key.key)) == REFUSED
    assert code_of(api.delete(f"/v1/keys/{key.id}")) == (404, "not_found")


def test_an_expired_key_ends_with_its_sessions_and_links(
    api: httpx.Client, stranger: httpx.Client
) -> None:
    ends_at = datetime.now(UTC) + timedelta(seconds=2)
    key = make_key(api, Role.SUBMITTER, expires_at=ends_at.isoformat())
    with caller(api, key.key) as known, caller(api) as page:
        assert known.get("/v1/scans?limit=1").status_code == 200
        code = known.post("/v1/links").json()["code"]
        assert sign_in(page, key=key.key).status_code == 200
        assert page.get("/v1/session").status_code == 200
        time.sleep(max((ends_at - datetime.now(UTC)).total_seconds(), 0) + 0.1)
        assert code_of(known.get("/v1/scans?limit=1")) == REFUSED
        assert code_of(page.get("/v1/session")) == REFUSED
        assert code_of(sign_in(stranger, code=code)) == REFUSED


@pytest.mark.parametrize(
    "ends_at", ["2020-01-01T00:00:00Z", "2020-01-01T00:00:00", "9999-12-31T23:59:59-12:00"]
)
def test_a_key_that_ends_in_the_past_or_outside_the_calendar_is_refused(
    api: httpx.Client, ends_at: str
) -> None:
    body = {"name": "x", "role": "submitter", "expires_at": ends_at}
    assert code_of(api.post("/v1/keys", json=body)) == (422, "invalid_request")
    assert api.get("/v1/keys").status_code == 200


def test_a_key_ends_in_utc_where_nothing_else_is_said(api: httpx.Client) -> None:
    key = make_key(api, Role.SUBMITTER, expires_at="2099-01-01T00:00:00")
    assert key.expires_at == datetime(2099, 1, 1, tzinfo=UTC)


def test_the_cookie_is_for_this_server_and_no_script(stranger: httpx.Client, key: NewKey) -> None:
    answer = sign_in(stranger, key=key.key)
    value, *flags = answer.headers["Set-Cookie"].split("; ")
    assert value.startswith(f"{COOKIE}=")
    (age,) = [flag for flag in flags if flag.startswith("Max-Age=")]
    # What is left of twelve hours when the answer is written.
    assert 43_190 <= int(age.removeprefix("Max-Age=")) <= 43_200
    assert set(flags) - {age} == {"HttpOnly", "SameSite=strict", "Path=/"}
    assert value.partition("=")[2] not in answer.text
    tls = stranger.post(
        "/v1/session", json={"key": key.key}, headers={"X-Forwarded-Proto": "https"}
    )
    assert "Secure" in tls.headers["Set-Cookie"].split("; ")


def test_a_session_reads_and_with_token_and_origin_changes(
    api: httpx.Client, page: httpx.Client, key: NewKey
) -> None:
    assert page.get("/v1/session").json()["principal"] == f"key:{key.id}"
    patient = new_patient(page)
    assert page.get(f"/v1/patients/{patient['id']}").json() == patient
    # Reading takes neither.
    with caller(api) as plain:
        plain.cookies = page.cookies
        assert plain.get(f"/v1/patients/{patient['id']}").json() == patient
    assert code_of(page.get("/v1/keys")) == (403, "forbidden")


def test_a_cookie_alone_changes_nothing(api: httpx.Client, page: httpx.Client, key: NewKey) -> None:
    token, own = page.headers[CSRF_HEADER], page.headers["Origin"]
    with caller(api) as elsewhere:
        other_token = sign_in(elsewhere, key=key.key).json()["csrf_token"]
    refused: list[tuple[dict[str, str], str]] = [
        ({}, "csrf_rejected"),
        ({CSRF_HEADER: token}, "csrf_rejected"),
        ({"Origin": own}, "csrf_rejected"),
        ({"Origin": own, CSRF_HEADER: ""}, "csrf_rejected"),
        ({"Origin": own, CSRF_HEADER: other_token}, "csrf_rejected"),
        ({"Origin": "http://evil.example", CSRF_HEADER: token}, "cross_origin"),
        ({"Origin": "null", CSRF_HEADER: token}, "cross_origin"),
    ]
    for method, path in (("POST", "/v1/patients/search"), ("DELETE", "/v1/scans/x")):
        for headers, code in refused:
            with caller(api) as plain:
                plain.cookies = page.cookies
                answer = plain.request(method, path, headers=headers)
                assert code_of(answer) == (403, code), headers


def test_signing_out_ends_the_session(page: httpx.Client) -> None:
    cookies = dict(page.cookies)
    answer = page.delete("/v1/session")
    assert answer.status_code == 204
    assert 'neuroscan_session=""' in answer.headers["Set-Cookie"]
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    page.cookies.update(cookies)
    assert code_of(page.get("/v1/session")) == REFUSED
    assert code_of(page.get("/v1/scans?limit=1")) == REFUSED
    assert page.delete("/v1/session").status_code == 204


def test_a_session_ends_with_its_time(server_url: str, page: httpx.Client, key: NewKey) -> None:
    change(
        server_url,
        "UPDATE browser_session SET expires_at = now() WHERE key_id = %s",
        key.id,
    )
    assert code_of(page.get("/v1/session")) == REFUSED
    assert code_of(page.get("/v1/scans?limit=1")) == REFUSED


def test_a_session_has_the_role_that_its_key_has_today(
    server_url: str, page: httpx.Client, key: NewKey
) -> None:
    assert page.get("/v1/patients?limit=1").status_code == 200
    change(server_url, "UPDATE api_key SET role = 'submitter' WHERE id = %s", key.id)
    assert code_of(page.get("/v1/patients?limit=1")) == (403, "forbidden")


def test_a_bad_key_is_not_mended_by_a_cookie(page: httpx.Client) -> None:
    answer = page.get("/v1/scans?limit=1", headers={"Authorization": "Bearer nsk_x_y"})
    assert code_of(answer) == REFUSED


@pytest.mark.parametrize("cookie", ["", "x", "\x01", f"{COOKIE}=", f"{COOKIE}=abc; {COOKIE}=é"])
def test_a_cookie_that_is_none_is_refused(stranger: httpx.Client, cookie: str) -> None:
    answer = stranger.get("/v1/session", headers=[(b"Cookie", cookie.encode())])
    assert code_of(answer) == REFUSED


def test_a_link_opens_one_session(api: httpx.Client, key: NewKey, stranger: httpx.Client) -> None:
    with caller(api, key.key) as known:
        link = known.post("/v1/links").json()
    left = datetime.fromisoformat(link["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)
    opened = sign_in(stranger, code=link["code"])
    assert opened.json()["principal"] == f"key:{key.id}"
    assert stranger.get("/v1/patients?limit=1").status_code == 200
    with caller(api) as other:
        assert code_of(sign_in(other, code=link["code"])) == REFUSED
        assert other.cookies.get(COOKIE) is None


def test_of_simultaneous_uses_of_a_link_one_succeeds(api: httpx.Client, key: NewKey) -> None:
    with caller(api, key.key) as known, ThreadPoolExecutor(8) as threads:
        code = known.post("/v1/links").json()["code"]

        def use() -> int:
            with caller(api) as client:
                return sign_in(client, code=code).status_code

        answers = [each.result() for each in [threads.submit(use) for _ in range(8)]]
    assert sorted(answers) == [200] + 7 * [401]


def test_a_link_that_is_too_old_opens_nothing(
    api: httpx.Client, server_url: str, key: NewKey, stranger: httpx.Client
) -> None:
    with caller(api, key.key) as known:
        code = known.post("/v1/links").json()["code"]
    change(server_url, "UPDATE link_code SET expires_at = now() WHERE key_id = %s", key.id)
    assert code_of(sign_in(stranger, code=code)) == REFUSED


@pytest.mark.parametrize("proof", [{}, {"key": "a", "code": "b"}, {"key": ""}, {"password": "x"}])
def test_a_session_takes_one_proof(stranger: httpx.Client, proof: dict[str, str]) -> None:
    assert code_of(sign_in(stranger, **proof)) == (422, "invalid_request")


def test_a_submitter_has_its_own_scans_only(api: httpx.Client) -> None:
    with (
        caller(api, make_key(api, Role.SUBMITTER).key) as first,
        caller(api, make_key(api, Role.SUBMITTER).key) as second,
        caller(api, make_key(api, Role.CLINICIAN).key) as clinician,
    ):
        scan = wait_final(first, submit(first, pictures.png()).json()["id"])
        paths = [scan["links"]["self"], *scan["links"].values()]
        for path in paths:
            assert first.get(path).status_code == 200, path
            assert clinician.get(path).status_code == 200, path
            assert code_of(second.get(path)) == (404, "not_found"), path
        assert [each["id"] for each in first.get("/v1/scans").json()["items"]] == [scan["id"]]
        assert second.get("/v1/scans").json()["items"] == []
        url = scan["links"]["self"]
        assert code_of(second.post(f"{url}/cancel")) == (404, "not_found")
        assert code_of(second.delete(url)) == (404, "not_found")
        assert code_of(second.get(f"{url}?wait=5")) == (404, "not_found")
        assert first.delete(url).status_code == 204
