"""The service as a process, over HTTP."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from neuroscan.contracts.enums import TumorClass
from neuroscan.contracts.problems import Problem
from neuroscan.contracts.results import InferenceResult
from neuroscan.network.bundle import Bundle
from neuroscan.settings import REPOSITORY, SHIPPED_BUNDLE
from neuroscan.stack.ports import free_ports
from tests.pictures import animated_png, giant_png_header, head, jpeg, png

PNG = {"Content-Type": "image/png"}


@contextmanager
def running(
    log: Path, **environment: str
) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    port = free_ports(1)[0]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.inference"],
            cwd=REPOSITORY,
            env={**os.environ, "PORT": str(port), "DEVICE": "cpu", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False)
        try:
            yield process, client
        finally:
            client.close()
            process.kill()
            process.wait()


def wait_ready(client: httpx.Client, log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"not ready in 90 s: {log.read_text()}")


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inference") / "service.log"


@pytest.fixture(scope="module")
def client(log: Path) -> Iterator[httpx.Client]:
    with running(log) as (_, client):
        wait_ready(client, log)
        yield client


def test_a_slice_is_answered_by_the_contract(client: httpx.Client) -> None:
    response = client.post("/v1/classify", content=png(head(seed=1)), headers=PNG)
    assert response.status_code == 200
    result = InferenceResult.model_validate(response.json())
    bundle = Bundle.read(SHIPPED_BUNDLE).description
    shares = result.classification.probabilities
    assert sum(shares.model_dump().values()) == pytest.approx(1)
    assert result.classification.confidence == max(shares.model_dump().values())
    assert result.classification.label in result.classification.prediction_set
    assert result.input_check.threshold == bundle.input_check.threshold
    assert result.model.sha256 == bundle.sha256
    assert result.classification.elapsed_ms > 0


def test_the_same_slice_gives_the_same_answer(client: httpx.Client) -> None:
    answers = [
        InferenceResult.model_validate(
            client.post("/v1/classify", content=png(head(seed=5)), headers=PNG).json()
        )
        for _ in range(2)
    ]
    assert answers[0].classification.probabilities == answers[1].classification.probabilities


def test_noise_is_turned_away_with_all_classes(client: httpx.Client) -> None:
    noise = np.random.default_rng(1).integers(0, 256, size=(200, 200), dtype=np.uint8)
    response = client.post("/v1/classify", content=png(noise), headers=PNG)
    result = InferenceResult.model_validate(response.json())
    assert not result.input_check.accepted
    assert not result.classification.calibrated
    assert set(result.classification.prediction_set) == set(TumorClass)


def sixteen_bit_png() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((64, 64), 3000, dtype=np.uint16)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"", "image/png", 422, "empty_file"),
        (b"hello", "image/png", 415, "not_an_image"),
        (jpeg(), "image/png", 415, "not_an_image"),
        (sixteen_bit_png(), "image/png", 415, "not_an_image"),
        (png()[:900], "image/png", 422, "truncated_image"),
        (giant_png_header(), "image/png", 422, "image_too_large"),
        (giant_png_header(40_000), "image/png", 422, "image_too_large"),
        (png(), "image/jpeg", 415, "format_mismatch"),
        (b"\x89PNG\r\n\x1a\n" + bytes(65 << 20), "image/png", 413, "file_too_large"),
    ],
    ids=[
        "empty",
        "words",
        "jpeg",
        "16 bits",
        "truncated",
        "64 MP",
        "1600 MP",
        "type",
        "too large",
    ],
)
def test_a_bad_body_is_a_problem(
    client: httpx.Client, content: bytes, content_type: str, status: int, code: str
) -> None:
    response = client.post("/v1/classify", content=content, headers={"Content-Type": content_type})
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = Problem.model_validate(response.json())
    assert (response.status_code, problem.status, problem.code) == (status, status, code)
    assert problem.instance == "/v1/classify"


def test_the_first_frame_of_an_animation_is_used(client: httpx.Client) -> None:
    response = client.post("/v1/classify", content=animated_png(), headers=PNG)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("GET", "/v1/classify", 405, "method_not_allowed")],
)
def test_wrong_paths_and_methods_are_problems(
    client: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert Problem.model_validate(response.json()).code == code


def test_the_request_id_comes_back_and_stands_in_the_log(client: httpx.Client, log: Path) -> None:
    response = client.post(
        "/v1/classify", content=png(), headers={**PNG, "X-Request-ID": "scan-4711"}
    )
    assert response.headers["X-Request-ID"] == "scan-4711"
    lines = [line for line in log.read_text().splitlines() if "scan-4711" in line]
    assert any("slice.classified" in line for line in lines)


def test_a_request_id_that_could_forge_log_lines_is_replaced(client: httpx.Client) -> None:
    response = client.get("/health/live", headers={"X-Request-ID": "a b\tc"})
    assert len(response.headers["X-Request-ID"]) == 36


def test_the_model_states_its_facts(client: httpx.Client) -> None:
    facts = client.get("/v1/model").json()
    bundle = Bundle.read(SHIPPED_BUNDLE).description
    assert facts["model"] == {
        "name": bundle.name,
        "version": bundle.version,
        "sha256": bundle.sha256,
    }
    assert facts["device"] == "cpu"
    assert facts["engine"] == "onnxruntime"
    assert facts["precision"] == "float32"
    assert facts["classes"] == list(bundle.classes)
    assert facts["explanation"]["layer"] == bundle.explanation.layer
    assert bundle.segmentation is not None
    assert facts["segmentation"]["sha256"] == bundle.segmentation.sha256
    assert facts["segmentation"]["median_dice"] == bundle.segmentation_dice
    assert facts["notice"] == "Research use only. Not for diagnosis."


def test_the_metrics_count_what_happened(client: httpx.Client) -> None:
    def counted(name: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))

    answers = counted("neuroscan_inference_answers_total{")
    rejections = counted('neuroscan_inference_rejections_total{reason="bad_image"}')
    client.post("/v1/classify", content=png(), headers=PNG)
    client.post("/v1/classify", content=b"x", headers=PNG)
    assert counted("neuroscan_inference_answers_total{") == answers + 1
    assert counted('neuroscan_inference_rejections_total{reason="bad_image"}') == rejections + 1
    assert counted("neuroscan_inference_batch_size_count") >= 1
    assert counted("neuroscan_inference_device_seconds_sum") > 0
    refused = 'neuroscan_inference_requests_total{path="/v1/classify",status="415"}'
    assert counted(refused) >= 1
    assert counted("neuroscan_inference_queue_length") == 0


def call_together(
    client: httpx.Client, callers: int
) -> tuple[list[threading.Thread], list[httpx.Response]]:
    """Start that many callers at once; their responses come into the list."""
    responses: list[httpx.Response] = []

    def call() -> None:
        # A connection whose request was not read before the service stopped is closed.
        with contextlib.suppress(httpx.TransportError):
            responses.append(client.post("/v1/classify", content=png(), headers=PNG))

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    return threads, responses


def test_a_full_queue_says_503_and_when_to_come_back(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    with running(log, QUEUE_MAX="1", BATCH_MAX="1") as (_, client):
        wait_ready(client, log)
        threads, responses = call_together(client, 24)
        for thread in threads:
            thread.join(60)
    assert len(responses) == 24
    refused = [response for response in responses if response.status_code == 503]
    assert refused
    assert len(refused) + sum(response.status_code == 200 for response in responses) == 24
    for response in refused:
        assert int(response.headers["Retry-After"]) >= 1
        assert response.json()["code"] == "overloaded"


def test_sigterm_answers_what_is_queued(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    with running(log, BATCH_MAX="1") as (process, client):
        wait_ready(client, log)
        threads, responses = call_together(client, 24)
        queued = 0.0
        deadline = time.monotonic() + 30
        while queued < 6 and time.monotonic() < deadline:
            queued = float(
                re.findall(r"\nneuroscan_inference_queue_length (.+)", client.get("/metrics").text)[
                    0
                ]
            )
        process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        process.wait(60)
    assert queued >= 6
    assert {response.status_code for response in responses} == {200}
    assert len(responses) >= queued
    assert "Traceback" not in log.read_text()


def test_a_bundle_that_is_broken_ends_the_process_with_its_reason(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    with running(log, MODEL_BUNDLE=str(tmp_path)) as (process, _):
        assert process.wait(60) != 0
    assert "bundle.json can't be read" in log.read_text()
