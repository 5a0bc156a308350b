"""Traces of a scan over all services of a running stack, received by an OTLP collector."""

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from neuroscan.client import Client
from neuroscan.contracts.enums import ScanState
from neuroscan.phantoms import write_phantoms
from neuroscan.stack import Stack
from tests.otlp_collector import Collector, Span, collector

SECRET = "Zebrafink"  # stands in every text that a caller may write
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLERS_SPAN = "b7ad6b7169203331"
ATTRIBUTES = {
    "http.request.method",
    "http.route",
    "http.response.status_code",
    "error.type",
    "messaging.destination.name",
    "neuroscan.request_id",
    "neuroscan.scan_id",
    "neuroscan.attempt",
}


@pytest.fixture(scope="module")
def received() -> Iterator[Collector]:
    with collector() as listening:
        yield listening


@pytest.fixture(scope="module")
def traced(received: Collector) -> Iterator[Stack]:
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        # FastAPI's own telemetry, which must stay off whatever the environment says.
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
    }
    with Stack(environment=environment) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def spans(
    traced: Stack, received: Collector, tmp_path_factory: pytest.TempPathFactory
) -> list[Span]:
    """Those of one scan, sent with a trace of the caller's, and of a bad request beside it."""
    phantoms = write_phantoms(tmp_path_factory.mktemp("phantoms"))
    picture = next(file.path for file in phantoms if file.truth.lesion)
    bearer = {"Authorization": f"Bearer {traced.key}"}
    with httpx.Client(base_url=traced.url, headers=bearer, timeout=60, trust_env=False) as http:
        patient = http.post(
            "/v1/patients",
            json={"medical_record_number": f"{SECRET}-{uuid4().hex[:6]}", "name": f"Ann {SECRET}"},
        )
        assert patient.status_code == httpx.codes.CREATED, patient.text
        sent = http.post(
            f"/v1/scans?note={SECRET}",
            data={"patient_id": patient.json()["id"], "notes": SECRET, "reference": SECRET},
            files={"image": (f"{SECRET}.png", picture.read_bytes())},
            headers={
                "X-Request-ID": "trace-test-1",
                "traceparent": f"00-{TRACE}-{CALLERS_SPAN}-01",
                "tracestate": f"vendor={SECRET}",
                "baggage": f"name={SECRET}",
            },
        )
        assert sent.status_code == httpx.codes.ACCEPTED, sent.text
        assert http.get(f"/v1/scans/{SECRET}").status_code == httpx.codes.UNPROCESSABLE_ENTITY
        assert http.get(f"/nowhere/{SECRET}").status_code == httpx.codes.NOT_FOUND
    with Client(traced.url, traced.key) as client:
        assert client.wait(sent.json()["id"], 60).state is ScanState.COMPLETED
    return [
        span
        for span in received.until(
            lambda seen: (
                {("recorder", "record report"), ("reports", "POST /v1/render")}
                <= {(span.service, span.name) for span in seen if span.trace == TRACE}
            )
        )
        if span.trace == TRACE
    ]


def one(spans: list[Span], service: str, name: str) -> Span:
    found = [span for span in spans if (span.service, span.name) == (service, name)]
    assert len(found) == 1, [(span.service, span.name) for span in spans]
    return found[0]


def test_one_trace_leads_from_the_upload_to_the_last_worker(spans: list[Span]) -> None:
    chain = [
        ("gateway", "POST /v1/scans", "SERVER"),
        ("gateway", "publish explain", "PRODUCER"),
        ("explain", "work explain", "CONSUMER"),
        ("recorder", "record finished", "CONSUMER"),
        ("recorder", "publish measure", "PRODUCER"),
        ("spatial", "work measure", "CONSUMER"),
        ("recorder", "record finished", "CONSUMER"),
        ("recorder", "publish report", "PRODUCER"),
        ("recorder", "record report", "CONSUMER"),
        ("recorder", "POST /v1/render", "CLIENT"),
        ("reports", "POST /v1/render", "SERVER"),
    ]
    parent = CALLERS_SPAN
    for service, name, kind in chain:
        below = [
            span
            for span in spans
            if (span.service, span.name, span.parent) == (service, name, parent)
        ]
        assert len(below) == 1, (service, name)
        assert below[0].kind == kind
        parent = below[0].id


def test_inference_is_called_inside_the_upload(spans: list[Span]) -> None:
    call = one(spans, "gateway", "POST /v1/classify")
    assert call.parent == one(spans, "gateway", "POST /v1/scans").id
    assert one(spans, "inference", "POST /v1/classify").parent == call.id


def test_spans_carry_the_scan_and_the_request(spans: list[Span]) -> None:
    upload = one(spans, "gateway", "POST /v1/scans")
    assert upload.attributes["http.response.status_code"] == "202"
    scan_id = upload.attributes["neuroscan.scan_id"]
    for span in spans:
        assert span.attributes["neuroscan.request_id"] == "trace-test-1", span
        if span.kind in ("CONSUMER", "PRODUCER"):
            assert span.attributes["neuroscan.scan_id"] == scan_id, span
    assert one(spans, "explain", "work explain").attributes["neuroscan.attempt"] == "1"


def test_nothing_that_a_caller_wrote_is_in_any_span(
    spans: list[Span], traced: Stack, received: Collector
) -> None:
    assert spans
    seen = received.until(
        lambda found: (
            {"GET unmatched", "GET /v1/scans/{scan_id}", "POST /v1/patients"}
            <= {span.name for span in found}
        )
    )
    assert all(SECRET.encode() not in body for body in received.bodies)
    assert {name for span in seen for name in span.attributes} <= ATTRIBUTES
    assert [span for span in seen if span.events or span.tracestate] == []
    # Ours alone: a library's would have other names.
    assert {span.kind for span in seen} == {"SERVER", "CLIENT", "PRODUCER", "CONSUMER"}


def test_probes_leave_no_spans(traced: Stack, received: Collector) -> None:
    httpx.get(f"{traced.url}/health/ready", trust_env=False)
    bearer = {"Authorization": f"Bearer {traced.key}"}
    httpx.get(f"{traced.url}/v1/model", headers=bearer, trust_env=False).raise_for_status()
    seen = received.until(lambda found: any(span.name.endswith("/v1/model") for span in found))
    assert [span.name for span in seen if "health" in span.name] == []
