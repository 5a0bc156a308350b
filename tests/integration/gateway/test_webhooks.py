"""`/v1/webhooks` over HTTP, and a scan's notices from the running system."""

import uuid
from collections.abc import Callable, Iterator

import httpx
import psycopg
import pytest

from neuroscan.contracts.webhooks import WEBHOOKS_MAX
from neuroscan.stack import Stack
from tests import pictures
from tests.integration.gateway.calls import submit
from tests.listener import Listener

LOCAL = "http://127.0.0.1:9/hook"
Caller = Callable[[str], httpx.Client]


@pytest.fixture
def caller(stack: Stack, api: httpx.Client) -> Iterator[Caller]:
    """Makes clients with keys of their own, of a given role."""
    clients: list[httpx.Client] = []

    def make(role: str) -> httpx.Client:
        made = api.post("/v1/keys", json={"name": "a test", "role": role}).json()
        bearer = {"Authorization": f"Bearer {made['key']}"}
        clients.append(httpx.Client(base_url=stack.url, headers=bearer, trust_env=False))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def create(client: httpx.Client, url: str = LOCAL, **fields: object) -> httpx.Response:
    return client.post("/v1/webhooks", json={"url": url, **fields})


def test_a_scan_is_told_of_from_its_arrival_to_its_end(api: httpx.Client, caller: Caller) -> None:
    submitter = caller("submitter")
    states = ["received", "classified", "explained", "measured", "completed"]
    with Listener() as listener:
        made = create(submitter, listener.url, states=states).json()
        submit(api, pictures.png())  # another's scan, which is not told of
        scan_id = submit(submitter, pictures.png()).json()["id"]
        received = listener.wait_for(5, limit_s=60)
        listener.stays_at(5, 0.5)
    assert [each.notice["data"]["state"] for each in received] == states
    assert {each.notice["data"]["scan_id"] for each in received} == {scan_id}
    assert all(each.is_signed_with(made["secret"]) for each in received)
    link = received[-1].notice["data"]["links"]["self"]
    scan = submitter.get(link).json()
    assert scan["version"] == received[-1].notice["data"]["version"]
    assert scan["classification"]["label"] == received[-1].notice["data"]["label"]

    path = f"/v1/webhooks/{made['id']}/deliveries"
    first = submitter.get(path, params={"limit": 3}).json()
    second = submitter.get(path, params={"limit": 3, "cursor": first["next_cursor"]}).json()
    listed = [*first["items"], *second["items"]]
    assert second["next_cursor"] is None
    assert [each["id"] for each in listed] == [each.event_id for each in reversed(received)]
    assert {each["scan_id"] for each in listed} == {scan_id}
    assert [each["scan_state"] for each in listed] == list(reversed(states))
    assert submitter.delete(f"/v1/webhooks/{made['id']}").status_code == 204
    assert submitter.get(path).status_code == 404


def test_the_secret_is_shown_once_and_not_readable_in_the_table(
    api: httpx.Client, server_url: str
) -> None:
    answer = create(api)
    assert answer.status_code == 201
    made = answer.json()
    assert made["states"] == ["completed", "failed", "canceled"]
    [listed] = [
        each for each in api.get("/v1/webhooks").json()["items"] if each["id"] == made["id"]
    ]
    assert listed == {name: value for name, value in made.items() if name != "secret"}
    with psycopg.connect(server_url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT * FROM webhook WHERE id = %s", [made["id"]]).fetchone()
        assert row
    secret = made["secret"].encode()
    stored = b" ".join(each if isinstance(each, bytes) else str(each).encode() for each in row)
    assert secret not in stored
    assert secret.removeprefix(b"nswh_") not in stored
    assert secret.hex().encode() not in stored
    api.delete(f"/v1/webhooks/{made['id']}")


def test_the_same_key_makes_one_webhook_and_shows_its_secret_again(api: httpx.Client) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first = api.post("/v1/webhooks", json={"url": LOCAL}, headers=key)
    again = api.post("/v1/webhooks", json={"url": LOCAL}, headers=key)
    assert again.status_code == 201
    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    other = api.post("/v1/webhooks", json={"url": f"{LOCAL}/other"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    api.delete(f"/v1/webhooks/{first.json()['id']}")


def test_one_sees_own_webhooks_and_an_admin_all(api: httpx.Client, caller: Caller) -> None:
    first, second = caller("submitter"), caller("clinician")
    mine = create(first).json()
    assert [each["id"] for each in first.get("/v1/webhooks").json()["items"]] == [mine["id"]]
    assert second.get("/v1/webhooks").json() == {"items": []}
    assert mine["id"] in {each["id"] for each in api.get("/v1/webhooks").json()["items"]}
    for path in (f"/v1/webhooks/{mine['id']}", f"/v1/webhooks/{mine['id']}/deliveries"):
        method = "GET" if path.endswith("deliveries") else "DELETE"
        assert second.request(method, path).status_code == 404
    assert api.get(f"/v1/webhooks/{mine['id']}/deliveries").json()["items"] == []
    assert api.delete(f"/v1/webhooks/{mine['id']}").status_code == 204
    assert first.get("/v1/webhooks").json() == {"items": []}
    assert first.delete(f"/v1/webhooks/{mine['id']}").status_code == 404
    assert first.delete(f"/v1/webhooks/{uuid.uuid4()}").status_code == 404


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/",
        "http://93.184.215.14/",
        "https://169.254.169.254/",
        "https://user:word@127.0.0.1/",
        "https://nothing-here.invalid/",
        "ftp://127.0.0.1/",
    ],
)
def test_an_address_that_may_not_be_called_is_refused(api: httpx.Client, url: str) -> None:
    answer = create(api, url)
    assert answer.status_code == 422
    assert answer.json()["code"] == "address_refused"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": ""},
        {"url": "https://h\u00f6st.example/"},
        {"url": f"https://127.0.0.1/{'a' * 2048}"},
        {"url": LOCAL, "states": []},
        {"url": LOCAL, "states": ["done"]},
        {"url": LOCAL, "secret": "mine"},
    ],
)
def test_what_is_off_is_named(api: httpx.Client, body: dict[str, object]) -> None:
    answer = api.post("/v1/webhooks", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_caller_has_so_many_webhooks_and_no_more(caller: Caller) -> None:
    client = caller("submitter")
    for _ in range(WEBHOOKS_MAX):
        assert create(client).status_code == 201
    refused = create(client)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_webhooks")
    first = client.get("/v1/webhooks").json()["items"][0]
    client.delete(f"/v1/webhooks/{first['id']}")
    assert create(client).status_code == 201


def test_a_cursor_of_another_list_is_refused(api: httpx.Client) -> None:
    made = create(api).json()
    path = f"/v1/webhooks/{made['id']}/deliveries"
    other = api.get("/v1/scans", params={"limit": 1}).json()["next_cursor"] or "abc"
    refused = api.get(path, params={"cursor": other})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_cursor")
    api.delete(f"/v1/webhooks/{made['id']}")
