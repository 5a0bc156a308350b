"""A POST with a key is done once and answered the same each time."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest
from sqlalchemy import Engine

from neuroscan.contracts.enums import Role
from neuroscan.contracts.patient import PatientCreate
from neuroscan.contracts.problems import IdempotencyConflict, IdempotencyInProgress
from neuroscan.settings import GatewaySettings
from services.gateway.auth.principal import Principal
from services.gateway.auth.secrets import ServerSecret
from services.gateway.db.session import transaction
from services.gateway.db.tables import IdempotencyKey
from services.gateway.idempotency.once import Answer, Keeper, OnceOnly
from services.gateway.idempotency.repository import KeyUse, key_row
from services.gateway.patients.service import PatientService
from services.gateway.pipeline.assembly import Pipeline
from services.gateway.scans.service import ScanService
from tests import pictures
from tests.integration.gateway.calls import new_patient, submit, wait_final

BY = Principal("key:test", Role.CLINICIAN)


def new_number() -> str:
    return f"MRN-{uuid.uuid4().hex[:10]}"


def create(
    api: httpx.Client, key: str, body: dict[str, str] | None = None, path: str = "/v1/patients"
) -> httpx.Response:
    return api.post(path, json=body, headers={"Idempotency-Key": key})


def stored(server_url: str, key: str) -> list[tuple[bytes, bytes | None]]:
    with psycopg.connect(server_url.replace("+psycopg", "")) as connection:
        return connection.execute(
            "SELECT response, patient_id::text FROM idempotency_key WHERE key = %s", (key,)
        ).fetchall()


def test_a_patient_whose_answer_was_lost_is_answered_again(api: httpx.Client) -> None:
    key = uuid.uuid4().hex
    body = {"medical_record_number": new_number(), "name": "Lost Answer", "sex": "female"}
    first = create(api, key, body)
    assert first.status_code == 201
    assert "Idempotency-Replayed" not in first.headers
    # Later changes don't change the answer of then.
    api.patch(first.headers["Location"], json={"name": "Changed"})
    again = create(api, key, dict(reversed(body.items())))
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Content-Type"] == first.headers["Content-Type"]


def test_a_key_with_another_body_is_refused(api: httpx.Client) -> None:
    key = uuid.uuid4().hex
    create(api, key, {"medical_record_number": new_number()})
    other = create(api, key, {"medical_record_number": new_number()})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


def test_of_simultaneous_requests_one_makes_the_patient(api: httpx.Client) -> None:
    key, body = uuid.uuid4().hex, {"medical_record_number": new_number()}
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: create(api, key, body), range(8)))
    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 7


def test_a_second_request_waits_for_the_first_and_gives_up(
    api: httpx.Client, server_url: str
) -> None:
    key, body = uuid.uuid4().hex, {"medical_record_number": new_number()}
    create(api, key, body)
    with psycopg.connect(server_url.replace("+psycopg", "")) as connection:
        # As if the first request were still running.
        connection.execute(
            "UPDATE idempotency_key SET bound = false, response = NULL,"
            " held_until = now() + interval '1 minute' WHERE key = %s",
            (key,),
        )
    began = time.monotonic()
    answer = create(api, key, body)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_in_progress")
    assert 4.5 < time.monotonic() - began < 8


def test_a_request_that_failed_frees_its_key(api: httpx.Client, server_url: str) -> None:
    key, taken = uuid.uuid4().hex, new_patient(api)["medical_record_number"]
    failed = create(api, key, {"medical_record_number": taken})
    assert failed.json()["code"] == "duplicate_patient"
    assert stored(server_url, key) == []
    invalid = create(api, key, {"medical_record_number": new_number(), "sex": "?"})
    assert invalid.json()["code"] == "invalid_request"
    assert stored(server_url, key) == []
    assert create(api, key, {"medical_record_number": new_number()}).status_code == 201


def test_deleting_the_patient_deletes_the_answer(api: httpx.Client, server_url: str) -> None:
    key, body = uuid.uuid4().hex, {"medical_record_number": new_number(), "name": "Qwert Marked"}
    patient = create(api, key, body).json()
    ((response, patient_id),) = stored(server_url, key)
    assert patient_id == patient["id"]
    assert b"Qwert" not in response
    assert api.delete(f"/v1/patients/{patient['id']}").status_code == 204
    assert stored(server_url, key) == []


def test_an_api_key_is_shown_again_to_who_lost_it(api: httpx.Client) -> None:
    key, new = uuid.uuid4().hex, {"name": "pacs", "role": "submitter"}
    first, again = (create(api, key, new, "/v1/keys") for _ in range(2))
    assert first.json() == again.json()
    bearer = {"Authorization": f"Bearer {again.json()['key']}"}
    assert api.get("/v1/scans?limit=1", headers=bearer).status_code == 200
    # The key is the caller's own.
    other = api.post("/v1/links", headers={"Idempotency-Key": key, **bearer})
    assert "Idempotency-Replayed" not in other.headers


def test_a_call_without_a_body_takes_a_key(api: httpx.Client) -> None:
    key = uuid.uuid4().hex
    first, again = (create(api, key, path="/v1/links") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    ("ask", "listed", "body"),
    [("explanations", "explanations", {"method": "gradcam"}), ("reanalyze", "analyses", None)],
)
def test_further_work_is_asked_for_once(
    api: httpx.Client, server_url: str, ask: str, listed: str, body: dict[str, str] | None
) -> None:
    scan_id = wait_final(api, submit(api, pictures.png()).json()["id"])["id"]
    key, path = uuid.uuid4().hex, f"/v1/scans/{scan_id}"
    before = len(api.get(f"{path}/{listed}").json()["items"])
    first, again = (create(api, key, body, f"{path}/{ask}") for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert len(api.get(f"{path}/{listed}").json()["items"]) == before + 1
    other_scan = submit(api, pictures.png()).json()["id"]
    other = create(api, key, body, f"/v1/scans/{other_scan}/{ask}")
    assert other.json()["code"] == "idempotency_conflict"
    assert api.delete(path).status_code == 204
    assert stored(server_url, key) == []


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_key_that_is_none_is_refused(api: httpx.Client, key: str) -> None:
    answer = create(api, key, {"medical_record_number": new_number()})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_the_document_names_the_header(api: httpx.Client) -> None:
    document = api.get("/v1/openapi.json").json()
    for path in ("/v1/patients", "/v1/keys", "/v1/links"):
        post = document["paths"][path]["post"]
        assert "idempotency-key" in [each["name"].lower() for each in post["parameters"]]
        assert "idempotency_conflict" in post["responses"]["409"]["description"]
        assert "Idempotency-Replayed" in post["responses"]["201"]["headers"]


def use_of(key: str = "k") -> KeyUse:
    return KeyUse(principal=BY.id, route="POST /v1/patients", key=key, fingerprint="f")


def keeper_of(engine: Engine, secret: str = "s" * 32) -> Keeper:
    return Keeper(engine, GatewaySettings(), ServerSecret(secret))


def test_who_lost_the_key_to_another_makes_nothing(pipeline: Pipeline) -> None:
    """A request that took longer than its hold finds its key with another, and is undone."""
    engine = pipeline.engine
    keeper = keeper_of(engine)
    patients = PatientService(pipeline, ScanService(pipeline))
    assert keeper.claim(use_of()) is None
    slow = OnceOnly(keeper, use_of(), 201)
    fast = OnceOnly(keeper, use_of(), 201)
    made = patients.create(PatientCreate(medical_record_number="1"), BY, fast)
    with pytest.raises(IdempotencyInProgress):
        patients.create(PatientCreate(medical_record_number="2"), BY, slow)
    assert [each.id for each in patients.list(BY, cursor=None, limit=10).items] == [made.id]
    answer = keeper.claim(use_of())
    assert answer == Answer(
        status=201, location=f"/v1/patients/{made.id}", body=made.model_dump_json()
    )
    keeper.release(use_of())
    assert keeper.claim(use_of()) == answer


def test_an_answer_under_another_secret_is_not_made_up(pipeline: Pipeline) -> None:
    engine = pipeline.engine
    keeper = keeper_of(engine)
    keeper.claim(use_of())
    once = OnceOnly(keeper, use_of(), 201)
    patients = PatientService(pipeline, ScanService(pipeline))
    patients.create(PatientCreate(medical_record_number="1"), BY, once)
    with pytest.raises(IdempotencyConflict, match="can't be read"):
        keeper_of(engine, "t" * 32).claim(use_of())
    with transaction(engine) as session:
        assert isinstance(key_row(session, use_of()), IdempotencyKey)
