"""A real Prometheus reads every service of a running stack; queries and alerts are asked."""

import time
from collections.abc import Iterator

import httpx
import pytest

from neuroscan.client import Client
from neuroscan.contracts.enums import ScanState, StageName
from neuroscan.phantoms import write_phantoms
from neuroscan.queues import STAGE_QUEUES, with_batch_twins
from neuroscan.stack import Stack
from tests.observing import alerts, dashboard_queries
from tests.prometheus_server import PrometheusServer, prometheus_of

SCANS = 3
JOBS = {"gateway", "recorder", "explain", "spatial", "inference", "reports"}
COMPLETED = 'sum(neuroscan_scans_total{state="completed"})'


@pytest.fixture(scope="module")
def prometheus(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrometheusServer]:
    """Prometheus, which has read the stack before and after some scans and a refusal."""
    slices = [file.path for file in write_phantoms(tmp_path_factory.mktemp("phantoms"))]
    with prometheus_of(stack, tmp_path_factory.mktemp("prometheus")) as server:
        server.until("count(up == 1)", len(JOBS))
        before = server.value(COMPLETED)
        with Client(stack.url, stack.key) as client:
            for path in slices[:SCANS]:
                scan = client.submit(path)
                assert client.wait(scan.id, 60).state is ScanState.COMPLETED
        refused = httpx.post(
            f"{stack.url}/v1/scans",
            headers={"Authorization": f"Bearer {stack.key}"},
            files={"image": b"not an image"},
            trust_env=False,
        )
        assert refused.status_code == httpx.codes.UNSUPPORTED_MEDIA_TYPE
        # Every service is read twice after all that: rates need two looks.
        server.until("min(timestamp(up))", time.time() + 2)
        assert server.value(COMPLETED) >= before + SCANS
        yield server


def test_every_service_is_read(prometheus: PrometheusServer) -> None:
    assert prometheus.by("job", "up") == dict.fromkeys(JOBS, 1)


def test_requests_are_counted_by_route_and_status(prometheus: PrometheusServer) -> None:
    taken = 'sum(neuroscan_gateway_requests_total{method="POST",route="/v1/scans",status="202"})'
    assert prometheus.value(taken) >= SCANS
    refused = prometheus.by("code", "sum by (code) (neuroscan_gateway_problems_total)")
    assert refused["not_an_image"] >= 1
    for name in ("gateway", "inference", "reports"):
        assert prometheus.value(f"sum(neuroscan_{name}_request_seconds_count)") >= SCANS


def test_every_stage_has_durations_waits_and_attempts(prometheus: PrometheusServer) -> None:
    stages = set(StageName)
    done = prometheus.by("stage", 'sum by (stage) (neuroscan_stage_outcomes_total{outcome="done"})')
    assert done.keys() == stages
    assert min(done.values()) >= SCANS
    seconds = prometheus.by("stage", "sum by (stage) (neuroscan_stage_seconds_count)")
    attempts = prometheus.by("stage", "sum by (stage) (neuroscan_stage_attempts_count)")
    assert seconds.keys() == attempts.keys() == stages
    # Other tests' scans are counted too: a result whose start was never told has no duration, and
    # a stage that failed for good has attempts.
    for stage, count in done.items():
        assert SCANS <= seconds[stage] <= count <= attempts[stage]
    # Classification in line waits for nobody.
    waits = prometheus.by("stage", "sum by (stage) (neuroscan_stage_wait_seconds_count)")
    assert waits.keys() >= stages - {StageName.CLASSIFY}
    longest = prometheus.value(
        "sum(neuroscan_scan_seconds_sum) / sum(neuroscan_scan_seconds_count)"
    )
    assert 0 < longest < 60


def test_what_a_pools_children_did_is_shown_by_its_parent(prometheus: PrometheusServer) -> None:
    done = prometheus.by(
        "stage", 'sum by (stage) (neuroscan_worker_messages_total{outcome="done"})'
    )
    assert done.keys() == {StageName.EXPLAIN, StageName.MEASURE}
    assert min(done.values()) >= SCANS
    seconds = prometheus.by("stage", "sum by (stage) (neuroscan_worker_seconds_sum)")
    assert min(seconds.values()) > 0


def test_every_queue_has_its_length_and_the_age_of_its_oldest(
    prometheus: PrometheusServer,
) -> None:
    queues = set(with_batch_twins(list(STAGE_QUEUES.values())))
    for name in ("queue_waiting", "queue_oldest_seconds", "broker_queue_length"):
        assert prometheus.by("queue", f"max by (queue) (neuroscan_{name})").keys() == queues
    assert prometheus.value("max(neuroscan_ledger_up)") == 1
    assert prometheus.value("max(neuroscan_broker_up)") == 1


def test_batches_device_time_and_answers_are_known(prometheus: PrometheusServer) -> None:
    answers = prometheus.value("sum(neuroscan_inference_answers_total)")
    assert answers >= SCANS
    assert prometheus.value("sum(neuroscan_inference_batch_size_sum)") >= SCANS
    assert prometheus.value("sum(neuroscan_inference_device_seconds_sum)") > 0
    assert prometheus.value("sum(neuroscan_inference_input_check_ratio_count)") == answers
    accepted = prometheus.value('sum(neuroscan_inference_answers_total{accepted="true"})')
    assert prometheus.value("sum(neuroscan_inference_confidence_count)") == accepted


def test_prometheus_can_answer_every_panel(prometheus: PrometheusServer) -> None:
    empty = set()
    for title, query in dashboard_queries():
        if not prometheus.query(query.replace("$__rate_interval", "1m")):
            empty.add(title)
    # Nothing went wrong of what these show.
    assert empty <= {
        "Outcomes a second, but done",
        "Recorder: messages put back a second",
        "Reports lost a second",
    }


def test_the_alerts_are_evaluated_and_none_fires(prometheus: PrometheusServer) -> None:
    rules = prometheus.rules()
    assert {rule["name"] for rule in rules} == {alert["alert"] for alert in alerts()}
    assert {rule["name"]: rule["health"] for rule in rules if rule["health"] != "ok"} == {}
    critical = [rule for rule in rules if rule["labels"]["severity"] == "critical"]
    assert [rule["name"] for rule in critical if rule["state"] == "firing"] == []


def test_no_label_holds_an_id_or_a_name(prometheus: PrometheusServer) -> None:
    allowed = {
        "__name__", "accepted", "code", "device", "engine", "generation", "implementation",
        "instance", "job", "kind", "label", "lane", "le", "major", "method", "minor", "name",
        "outcome", "patchlevel", "path", "precision", "queue", "reason", "route", "stage", "state",
        "status", "version",
    }  # fmt: skip
    labels = {name for each in prometheus.query('{job!=""}') for name in each["metric"]}
    assert labels <= allowed
    routes = prometheus.by("route", "count by (route) (neuroscan_gateway_requests_total)")
    assert [route for route in routes if "0" in route.replace("/v1/", "")] == []
