"""The client against a server that misbehaves on purpose, as the gateway can't be made to."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from neuroscan.client import ApiProblem, Client, NoAnswer, NotFinished, UnexpectedAnswer
from neuroscan.contracts.enums import DisplayConvention, ScanState
from neuroscan.contracts.problems import EmptyFile, Overloaded
from neuroscan.stack.ports import free_ports
from tests.unit.cli.scans import SCAN_ID, scan_view


@dataclass(frozen=True)
class Answer:
    """One scripted answer; `status` 0 hangs up without a word."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


class Script(BaseHTTPRequestHandler):
    """Answers the script, one after the other, and notes what was asked."""

    answers: list[Answer]
    seen: list[Seen]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append(Seen(f"{self.command} {self.path}", dict(self.headers), body))
        answer = self.answers.pop(0)
        if answer.status == 0:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_POST = do_GET  # noqa: N815 - the base looks for this name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@contextlib.contextmanager
def scripted(*answers: Answer) -> Iterator[tuple[str, list[Seen]]]:
    class OneScript(Script):
        pass

    OneScript.answers, OneScript.seen = list(answers), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), OneScript)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", OneScript.seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def scan_answer(
    state: ScanState = ScanState.COMPLETED, version: int = 1, status: int = 200
) -> Answer:
    body = scan_view(state, version).model_dump_json().encode()
    return Answer(status, body, {"ETag": f'"{version}"'})


def test_a_lost_connection_and_a_full_queue_are_tried_again_with_the_same_key() -> None:
    busy = Answer(503, Overloaded().problem().model_dump_json().encode(), {"Retry-After": "1"})
    with scripted(Answer(0), busy, scan_answer(status=202)) as (url, seen), Client(url) as client:
        assert client.submit(b"picture").id == SCAN_ID
    assert [request.line for request in seen] == ["POST /v1/scans"] * 3
    assert len({request.headers["Idempotency-Key"] for request in seen}) == 1


def test_fields_come_before_the_picture_and_the_files_own_name_is_not_sent() -> None:
    with scripted(scan_answer(status=202)) as (url, seen), Client(url, key="secret") as client:
        client.submit(
            b"picture",
            reference="7",
            pixel_spacing_mm=(0.5, 0.25),
            display_convention=DisplayConvention.RADIOLOGICAL,
        )
    body = seen[0].body
    assert body.index(b'name="pixel_spacing_mm"') < body.index(b'name="image"')
    assert b"0.5,0.25" in body
    assert b"radiological" in body
    assert b'filename="image"' in body
    assert b"patient_id" not in body
    assert seen[0].headers["Authorization"] == "Bearer secret"


def test_a_problem_is_raised_with_its_code_and_not_tried_again() -> None:
    problem = EmptyFile().problem("/v1/scans")
    answer = Answer(422, problem.model_dump_json().encode())
    with (
        scripted(answer) as (url, seen),
        Client(url) as client,
        pytest.raises(ApiProblem, match="no bytes") as raised,
    ):
        client.submit(b"")
    assert raised.value.problem == problem
    assert len(seen) == 1


def test_waiting_asks_for_changes_only_and_ends_with_a_final_state() -> None:
    answers = (
        scan_answer(ScanState.RECEIVED, 1),
        Answer(304),
        scan_answer(ScanState.EXPLAINED, 3),
        scan_answer(ScanState.COMPLETED, 5),
    )
    with scripted(*answers) as (url, seen), Client(url) as client:
        assert client.wait(SCAN_ID, 30).version == 5
    assert [request.headers.get("If-None-Match") for request in seen] == [None, '"1"', '"1"', '"3"']
    assert all("wait=" in request.line for request in seen[1:])


def test_waiting_gives_up_with_the_scan_as_it_was() -> None:
    answers = [scan_answer(ScanState.RECEIVED)] + [Answer(304)] * 500
    with (
        scripted(*answers) as (url, _),
        Client(url) as client,
        pytest.raises(NotFinished, match="still received") as raised,
    ):
        client.wait(SCAN_ID, 0.1)
    assert raised.value.scan.id == SCAN_ID


def test_nobody_there_is_said_after_the_clients_patience() -> None:
    port = free_ports(1)[0]
    with (
        Client(f"http://127.0.0.1:{port}", patience_s=0.3) as client,
        pytest.raises(NoAnswer, match=f"Nothing answers on http://127.0.0.1:{port}"),
    ):
        client.scan(SCAN_ID)


@pytest.mark.parametrize("answer", [Answer(500, b"<html>"), Answer(200, b'{"id": 1}')])
def test_an_answer_of_something_else_is_named_as_such(answer: Answer) -> None:
    with scripted(answer) as (url, _), Client(url) as client, pytest.raises(UnexpectedAnswer):
        client.scan(SCAN_ID)


def test_the_address_in_an_error_holds_no_query() -> None:
    with (
        scripted(Answer(500, b"")) as (url, _),
        Client(url) as client,
        pytest.raises(UnexpectedAnswer) as raised,
    ):
        client.scans(reference="private")
    assert "private" not in str(raised.value)
