"""One id of a request, from the gateway's first line to the last worker's."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from neuroscan.client import Client
from neuroscan.contracts.enums import ScanState
from neuroscan.phantoms import write_phantoms
from neuroscan.stack import Stack

LINES = {
    ("gateway", "scan.received"),
    ("gateway", "request"),
    ("inference", "slice.classified"),
    ("inference", "request"),
    ("explain", "stage.finished"),
    ("spatial", "stage.finished"),
    ("recorder", "stage.recorded"),
    ("reports", "report.rendered"),
    ("reports", "request"),
}


@pytest.fixture(scope="module")
def logging_json() -> Iterator[Stack]:
    with Stack(environment={"LOG_FORMAT": "json"}) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = write_phantoms(tmp_path_factory.mktemp("phantoms"))
    return next(file.path for file in files if file.truth.lesion)


def lines_with(stack: Stack, request_id: str) -> list[dict[str, object]]:
    """The log's lines that carry an id, as objects."""
    found = []
    for line in stack.log.read_text().splitlines():
        _, _, event = line.partition("| ")
        if request_id in event:
            found.append(json.loads(event))
    return found


def until_lines(stack: Stack, request_id: str) -> list[dict[str, object]]:
    give_up_at = time.monotonic() + 10
    while True:
        found = lines_with(stack, request_id)
        there = {(str(line["service"]), str(line["event"])) for line in found}
        if there >= LINES:
            return found
        assert time.monotonic() < give_up_at, LINES - there
        time.sleep(0.2)


def send(stack: Stack, picture: Path, headers: dict[str, str]) -> httpx.Response:
    answer = httpx.post(
        f"{stack.url}/v1/scans",
        headers={"Authorization": f"Bearer {stack.key}", **headers},
        files={"image": picture.read_bytes()},
        timeout=60,
        trust_env=False,
    )
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    with Client(stack.url, stack.key) as client:
        assert client.wait(answer.json()["id"], 60).state is ScanState.COMPLETED
    return answer


def test_the_id_that_came_is_on_a_line_of_every_service(logging_json: Stack, picture: Path) -> None:
    request_id = f"nginx-{uuid4().hex}"
    answer = send(logging_json, picture, {"X-Request-ID": request_id})
    assert answer.headers["X-Request-ID"] == request_id
    lines = until_lines(logging_json, request_id)
    assert {line["request_id"] for line in lines} == {request_id}
    told = {line["scan_id"] for line in lines if "scan_id" in line}
    assert told == {answer.json()["id"]}


def test_a_request_without_one_gets_its_own(logging_json: Stack, picture: Path) -> None:
    answer = send(logging_json, picture, {})
    until_lines(logging_json, answer.headers["X-Request-ID"])


def test_an_id_that_could_forge_a_line_is_replaced(logging_json: Stack, picture: Path) -> None:
    answer = send(logging_json, picture, {"X-Request-ID": "a b\tevent=forged"})
    assert "forged" not in answer.headers["X-Request-ID"]
    until_lines(logging_json, answer.headers["X-Request-ID"])
