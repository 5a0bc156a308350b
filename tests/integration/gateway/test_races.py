"""Two requests about the same thing at the same moment: each ends in an answer of its own.

A second connection to the database holds a transaction open, so that the moment is certain.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import psycopg
import pytest

from tests import pictures
from tests.integration.gateway.calls import new_patient, submit, wait_final

Answer = Future[httpx.Response]


@pytest.fixture
def other(server_url: str) -> Iterator[psycopg.Connection]:
    """Another client's connection."""
    with psycopg.connect(server_url.replace("+psycopg", "")) as connection:
        yield connection


@pytest.fixture
def meanwhile() -> Iterator[Callable[[Callable[[], httpx.Response]], Answer]]:
    """Makes a call in the background."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit


def wait_blocked(server_url: str, statement: str) -> None:
    """Wait until a statement that begins so waits for a lock."""
    blocked = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE %s"
    ends = time.monotonic() + 10
    with psycopg.connect(server_url.replace("+psycopg", ""), autocommit=True) as connection:
        while time.monotonic() < ends:
            if connection.execute(blocked, (f"{statement}%",)).fetchone():
                return
            time.sleep(0.02)
    raise AssertionError(f"nothing waits: {statement}")


def test_a_scan_for_a_patient_who_is_being_deleted_is_refused(
    api: httpx.Client,
    server_url: str,
    other: psycopg.Connection,
    meanwhile: Callable[..., Answer],
) -> None:
    patient = new_patient(api)
    other.execute("DELETE FROM patient WHERE id = %s", (patient["id"],))
    answer = meanwhile(lambda: submit(api, pictures.png(), patient_id=patient["id"]))
    wait_blocked(server_url, "")
    other.commit()
    refused = answer.result()
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_patient")


def test_changing_a_patient_who_is_being_deleted_finds_none(
    api: httpx.Client,
    server_url: str,
    other: psycopg.Connection,
    meanwhile: Callable[..., Answer],
) -> None:
    patient = new_patient(api)
    other.execute("DELETE FROM patient WHERE id = %s", (patient["id"],))
    url = f"/v1/patients/{patient['id']}"
    answer = meanwhile(lambda: api.patch(url, json={"notes": "later"}))
    wait_blocked(server_url, "")
    other.commit()
    assert (answer.result().status_code, answer.result().json()["code"]) == (404, "not_found")


def test_a_patient_can_be_deleted_while_one_of_the_scans_is(
    api: httpx.Client,
    server_url: str,
    other: psycopg.Connection,
    meanwhile: Callable[..., Answer],
) -> None:
    patient = new_patient(api)
    scan = wait_final(api, submit(api, pictures.png(), patient_id=patient["id"]).json()["id"])
    other.execute("DELETE FROM scan WHERE id = %s", (scan["id"],))
    other.execute(
        "INSERT INTO erasure (prefix, asked_at) VALUES (%s, now())", (f"scans/{scan['id']}",)
    )
    answer = meanwhile(lambda: api.delete(f"/v1/patients/{patient['id']}"))
    wait_blocked(server_url, "SELECT scan.id")
    other.commit()
    assert answer.result().status_code == 204
    assert api.get(f"/v1/patients/{patient['id']}").status_code == 404


def test_a_patient_and_one_of_the_batches_can_be_deleted_at_the_same_time(
    api: httpx.Client,
    server_url: str,
    other: psycopg.Connection,
    meanwhile: Callable[..., Answer],
) -> None:
    patient = new_patient(api)
    batch = api.post(
        "/v1/batches",
        data={"patient_id": patient["id"]},
        files=[("images", ("a.png", pictures.png(), "image/png"))],
    ).json()
    scan = wait_final(api, batch["items"][0]["scan_id"])
    # What the batch's deletion does, with the patient's in the middle of it.
    other.execute("SELECT FROM batch WHERE id = %s FOR NO KEY UPDATE", (batch["id"],))
    answer = meanwhile(lambda: api.delete(f"/v1/patients/{patient['id']}"))
    wait_blocked(server_url, "SELECT batch.id")
    other.execute("SELECT FROM scan WHERE id = %s FOR UPDATE", (scan["id"],))
    other.execute("DELETE FROM batch WHERE id = %s", (batch["id"],))
    other.commit()
    assert answer.result().status_code == 204


@pytest.mark.parametrize(
    ("path", "waits", "status"),
    [
        # One query, which sees nothing before it has all its tables: the scan is gone by then.
        ("/v1/scans/{}", "SELECT scan.id", 404),
        ("/v1/scans?limit=1", "SELECT stage.scan_id", 200),
        ("/v1/scans/{}/slice.png", "SELECT stage.scan_id", 200),
    ],
)
def test_a_scan_that_is_deleted_while_it_is_read_is_shown_whole_or_not_at_all(
    api: httpx.Client,
    server_url: str,
    other: psycopg.Connection,
    meanwhile: Callable[..., Answer],
    path: str,
    waits: str,
    status: int,
) -> None:
    scan = wait_final(api, submit(api, pictures.png()).json()["id"])
    # The reader gets the scan's row, and waits for its stages.
    other.execute("LOCK TABLE stage IN ACCESS EXCLUSIVE MODE")
    answer = meanwhile(lambda: api.get(path.format(scan["id"])))
    wait_blocked(server_url, waits)
    other.execute("DELETE FROM scan WHERE id = %s", (scan["id"],))
    other.commit()
    assert answer.result().status_code == status


def test_uploads_that_wait_leave_threads_to_other_calls(
    api: httpx.Client, other: psycopg.Connection
) -> None:
    key, content = uuid.uuid4().hex, pictures.png(pictures.head(seed=50))
    first = submit(api, content, key=key).json()["id"]
    # As if the first request were still running: all others wait for it.
    other.execute(
        "UPDATE idempotency_key SET scan_id = NULL, bound = false,"
        " held_until = now() + interval '1 minute' WHERE key = %s",
        (key,),
    )
    other.commit()
    with (
        httpx.Client(
            base_url=api.base_url,
            headers=api.headers,
            timeout=60,
            trust_env=False,
            limits=httpx.Limits(max_connections=60),
        ) as many,
        ThreadPoolExecutor(50) as threads,
    ):
        waiting = [threads.submit(submit, many, content, key=key) for _ in range(50)]
        time.sleep(1.5)
        began = time.monotonic()
        assert many.get("/v1/scans?limit=1").status_code == 200
        elapsed_s = time.monotonic() - began
        other.execute(
            "UPDATE idempotency_key SET scan_id = %s, bound = true WHERE key = %s", (first, key)
        )
        other.commit()
        answers = [each.result() for each in waiting]
    # Without threads left, this call would wait for the minute that the key is held.
    assert elapsed_s < 10
    assert {answer.json()["id"] for answer in answers} == {first}
    assert hashlib.sha256(content).hexdigest() == answers[0].json()["image"]["sha256"]
