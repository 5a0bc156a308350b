"""The service as a process, over HTTP."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from neuroscan.contracts.problems import Overloaded, Problem
from neuroscan.contracts.report import ReportRequest
from neuroscan.settings import REPOSITORY
from neuroscan.stack.ports import free_ports
from services.reports import app
from services.reports.press import Kind, Metrics, Press
from services.reports.render import Rendered, Renderer
from tests.unit.reports.cases import make_summary


@dataclass(frozen=True)
class Service:
    """A running service: a client of it, and where its log goes."""

    http: httpx.Client
    log: Path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """`python -m services.reports`, waited for until ready, ended by SIGTERM."""
    port = free_ports(1)[0]
    log = tmp_path_factory.mktemp("reports") / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.reports"],
            cwd=REPOSITORY,
            env={**os.environ, "PORT": str(port)},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:
            wait_until_ready(http, process)
            yield Service(http, log)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in (0, -signal.SIGTERM)


def wait_until_ready(http: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None
        try:
            if http.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the service did not become ready")


def post(service: Service, content: str | bytes) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return service.http.post("/v1/render", content=content, headers=headers)


def body_of(request: ReportRequest) -> str:
    return request.model_dump_json()


def test_request_comes_back_as_a_pdf_and_is_counted(
    service: Service, report_request: ReportRequest
) -> None:
    first = post(service, body_of(report_request))
    assert first.status_code == 200
    assert first.headers["content-type"] == "application/pdf"
    assert first.content.startswith(b"%PDF-1.7")
    assert post(service, body_of(report_request)).content == first.content
    metrics = service.http.get("/metrics").text
    assert 'neuroscan_reports_rendered_total{kind="report",outcome="ok"} ' in metrics
    assert 'neuroscan_reports_render_seconds_count{kind="report"}' in metrics
    assert "process_resident_memory_bytes" in metrics


def test_health_answers(service: Service) -> None:
    assert service.http.get("/health/live").json() == {"status": "ok"}
    assert service.http.get("/health/ready").json() == {"status": "ok"}


def test_log_holds_the_scan_and_no_name(
    service: Service, named: Callable[[str], ReportRequest]
) -> None:
    request = named("Unmistakable Person")
    assert post(service, body_of(request)).status_code == 200
    broken = body_of(request).replace('"sex":"female"', '"sex":"Unmistakable Value"')
    assert post(service, broken).status_code == 422
    written = service.log.read_text()
    assert request.scan.id in written
    assert "report.rendered" in written
    assert "Unmistakable" not in written
    assert "20-4471" not in written


def test_the_request_id_comes_back_and_stands_in_the_log(
    service: Service, report_request: ReportRequest
) -> None:
    answer = service.http.post(
        "/v1/render",
        content=body_of(report_request),
        headers={"Content-Type": "application/json", "X-Request-ID": "upload-4711"},
    )
    assert answer.headers["X-Request-ID"] == "upload-4711"
    lines = [line for line in service.log.read_text().splitlines() if "upload-4711" in line]
    assert any("report.rendered" in line for line in lines)


def test_invalid_request_is_a_problem_that_repeats_no_value(
    service: Service, report_request: ReportRequest
) -> None:
    broken = body_of(report_request).replace('"birth_date":"1980-05-04"', '"birth_date":"secret"')
    answer = post(service, broken)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.content)
    assert problem.code == "invalid_request"
    assert "birth_date" in problem.detail
    assert "secret" not in answer.text
    assert "Ada" not in answer.text


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_body_that_is_no_request_is_a_problem(service: Service, content: str) -> None:
    answer = post(service, content)
    assert answer.status_code == 422
    assert Problem.model_validate_json(answer.content).code == "invalid_request"


def test_picture_that_cannot_be_read_is_a_problem_and_is_counted(
    service: Service, report_request: ReportRequest
) -> None:
    document = report_request.model_dump(mode="json")
    document["pictures"]["slice"] = "bm90IGEgcGljdHVyZQ=="
    answer = service.http.post("/v1/render", json=document)
    assert answer.status_code == 422
    assert Problem.model_validate_json(answer.content).code == "bad_image"
    metrics = service.http.get("/metrics").text
    assert 'neuroscan_reports_rendered_total{kind="report",outcome="bad_image"}' in metrics
    assert 'neuroscan_reports_requests_total{path="/v1/render",status="422"}' in metrics


def test_unknown_path_and_method_are_problems(service: Service) -> None:
    missing = service.http.get("/nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    wrong = service.http.get("/v1/render")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")


def test_body_beyond_the_limit_is_refused_from_its_header(service: Service) -> None:
    host, port = service.http.base_url.host, service.http.base_url.port
    head = (
        "POST /v1/render HTTP/1.1\r\nHost: reports\r\nContent-Type: application/json\r\n"
        f"Content-Length: {app.MAX_BODY_BYTES + 1}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    assert answer.startswith("HTTP/1.1 413")
    assert "request_too_large" in answer


def test_full_line_is_refused_with_a_time_to_retry(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    async def crowd() -> list[object]:
        press = Press(Kind.REPORT, renderer.render, Metrics(), waiting_max=2)
        three = [press.print(report_request) for _ in range(3)]
        return list(await asyncio.gather(*three, return_exceptions=True))

    results = asyncio.run(crowd())
    refused = [each for each in results if isinstance(each, Overloaded)]
    assert len(refused) == 1
    assert refused[0].retry_after_s == 5
    assert len([each for each in results if isinstance(each, Rendered)]) == 2


def test_summary_comes_back_as_a_pdf_and_is_counted(service: Service) -> None:
    request = make_summary()
    headers = {"Content-Type": "application/json"}
    body = request.model_dump_json()
    answer = service.http.post("/v1/render-summary", content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-1.7")
    metrics = service.http.get("/metrics").text
    assert 'neuroscan_reports_rendered_total{kind="summary",outcome="ok"} ' in metrics
    written = service.log.read_text()
    assert request.batch_id in written
    assert "scan_01" not in written
    assert "Ada" not in written


def test_two_lines_print_at_the_same_time_what_one_prints(
    renderer: Renderer, report_request: ReportRequest
) -> None:
    many = Renderer()
    summary = make_summary()
    expected = {renderer.render(report_request), many.render_summary(summary)}

    async def both() -> set[Rendered]:
        metrics = Metrics()
        reports = Press(Kind.REPORT, renderer.render, metrics, waiting_max=8)
        summaries = Press(Kind.SUMMARY, many.render_summary, metrics, waiting_max=8)
        work = [reports.print(report_request) for _ in range(3)]
        return set(await asyncio.gather(*work, *[summaries.print(summary) for _ in range(3)]))

    assert asyncio.run(both()) == expected
