"""KEDA's triggers: what they ask, what Prometheus answers, and how many pods follow from it."""

import math
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from neuroscan.contracts.enums import StageName
from neuroscan.queues import STAGE_QUEUES, with_batch_twins
from services.gateway.recorder import CONCURRENCY
from services.inference.onnx_engine import OnnxEngine
from tests.observing import PROMETHEUS, exported, names_in, require_tool
from tests.unit.deploy.manifests import (
    KUBERNETES,
    Manifest,
    by_kind,
    container,
    environment,
    manifests_of,
    overlay,
    pods,
)

FOLDER = KUBERNETES / "components/autoscale"
SCALED = {
    each["metadata"]["name"]: each["spec"]
    for file in ("workers.yaml", "servers.yaml")
    for each in manifests_of(FOLDER / file)
}
TRIGGERS = {
    (name, each["name"]): each for name, spec in SCALED.items() for each in spec["triggers"]
}
# By KEDA's documentation of its Prometheus scaler; all are texts.
KNOWN = {"serverAddress", "query", "threshold", "ignoreNullValues"}


def test_what_is_scaled_is_there_and_its_number_left_alone() -> None:
    base = by_kind(overlay("cpu"), "Deployment")
    site = by_kind(overlay("example"), "Deployment")
    assert set(SCALED) == {"explain", "spatial", "inference", "recorder", "reports"}
    assert set(by_kind(overlay("example"), "ScaledObject")) == set(SCALED)
    for name, spec in SCALED.items():
        assert spec["scaleTargetRef"] == {"name": name}
        assert base[name]["spec"]["replicas"] == spec["minReplicaCount"] == 2
        assert "replicas" not in site[name]["spec"]
    assert site["gateway"]["spec"]["replicas"] == 2


@pytest.mark.parametrize("name", SCALED)
def test_bounds_hold_without_prometheus_too(name: str) -> None:
    spec = SCALED[name]
    assert spec["minReplicaCount"] < spec["maxReplicaCount"]
    assert spec["fallback"]["replicas"] >= spec["minReplicaCount"]
    # Nothing is taken away for want of an answer.
    assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] >= 300
    assert [each["type"] for each in behavior["scaleDown"]["policies"]] == ["Pods"]
    names = [each["name"] for each in spec["triggers"]]
    assert len(names) == len(set(names))
    # One at least says that there is no answer, and then nothing is scaled down.
    assert any(each["metadata"].get("ignoreNullValues") == "false" for each in spec["triggers"])


@pytest.mark.parametrize("trigger", TRIGGERS.values(), ids=["-".join(key) for key in TRIGGERS])
def test_a_trigger_asks_for_what_the_code_exports(trigger: Manifest) -> None:
    assert trigger["type"] == "prometheus"
    assert trigger["metricType"] in ("Value", "AverageValue")
    metadata = trigger["metadata"]
    assert set(metadata) <= KNOWN
    assert all(isinstance(value, str) for value in metadata.values())
    assert float(metadata["threshold"]) > 0
    names = names_in(metadata["query"])
    assert names
    assert names <= exported()
    queues = with_batch_twins(list(STAGE_QUEUES.values()))
    for _, value in re.findall(r'(queue)=~?"([^"]+)"', metadata["query"]):
        assert set(value.split("|")) <= set(queues)
    for value in re.findall(r'stage="([^"]+)"', metadata["query"]):
        assert value in set(StageName)


def test_thresholds_are_those_of_the_code() -> None:
    assert OnnxEngine.batch_best is not None
    assert threshold("inference", "waiting") == 4 * OnnxEngine.batch_best
    assert threshold("recorder", "busy") == pytest.approx(0.7 * CONCURRENCY)
    for name in ("explain", "spatial"):
        told = environment(overlay("cpu"), container(pods(overlay("cpu"))[name]))
        assert told["WORKER_CONCURRENCY"] == "1"
    # Long before anybody is told that a queue waits.
    text = (PROMETHEUS / "alerts.yml").read_text()
    waits = re.search(r"alert: QueueWaits\n\s+expr: .*> (\d+)", text)
    assert waits is not None
    for name in ("explain", "spatial", "recorder"):
        assert threshold(name, "age") * 3 <= int(waits[1])


def threshold(name: str, trigger: str) -> float:
    return float(TRIGGERS[name, trigger]["metadata"]["threshold"])


def recorders(series: str, value: str) -> dict[str, str]:
    """Two of them show the same view; the second has just started."""
    name, _, labels = series.partition("{")
    return {
        f'{name}{{pod="recorder-1",{labels}': value,
        f'{name}{{pod="recorder-2",{labels}': "_x10 " + value,
    }


# A queue in which somebody has waited for 40 s, workers of which 2.1 are busy, batches, cards.
SERIES = {
    **recorders('neuroscan_queue_oldest_seconds{queue="explain"}', "40x20"),
    **recorders('neuroscan_queue_oldest_seconds{queue="explain.batch"}', "4000x20"),
    **recorders('neuroscan_queue_oldest_seconds{queue="spatial"}', "0x20"),
    **recorders('neuroscan_queue_oldest_seconds{queue="recorder"}', "3x20"),
    **recorders('neuroscan_queue_oldest_seconds{queue="report"}', "20x20"),
    **recorders('neuroscan_queue_waiting{queue="explain"}', "9x20"),
    **recorders('neuroscan_queue_waiting{queue="explain.batch"}', "1300x20"),
    **recorders('neuroscan_queue_waiting{queue="spatial.batch"}', "0x20"),
    'neuroscan_worker_seconds_sum{pod="explain-1",stage="explain"}': "0+15x20",
    'neuroscan_worker_seconds_sum{pod="explain-2",stage="explain"}': "0+15x20",
    'neuroscan_worker_seconds_sum{pod="explain-3",stage="explain"}': "0+1.5x20",
    'neuroscan_inference_device_seconds_sum{pod="inference-1"}': "0+12x20",
    'neuroscan_inference_device_seconds_sum{pod="inference-2"}': "0+9x20",
    'neuroscan_inference_queue_length{pod="inference-1"}': "30x20",
    'neuroscan_inference_queue_length{pod="inference-2"}': "0x20",
    'neuroscan_recorder_message_seconds_sum{kind="report",pod="recorder-1"}': "0+60x20",
    'neuroscan_recorder_message_seconds_sum{kind="started",pod="recorder-1"}': "0+3x20",
    'neuroscan_reports_waiting{kind="report",pod="reports-1"}': "1x20",
    'neuroscan_reports_waiting{kind="summary",pod="reports-1"}': "0x20",
}
# What Prometheus must answer then, and the pods that KEDA makes of it, when there are two.
ANSWERS = {
    ("explain", "age"): (40, 8),
    ("explain", "busy"): (2.1, 3),
    ("explain", "batches"): (1300, 7),
    ("spatial", "age"): (0, 0),
    # No worker has counted anything yet.
    ("spatial", "busy"): (0, 0),
    ("spatial", "batches"): (0, 0),
    ("inference", "busy"): (1.4, 2),
    ("inference", "waiting"): (30, 2),
    ("recorder", "age"): (20, 4),
    ("recorder", "busy"): (4.2, 2),
    ("reports", "busy"): (0, 0),
    ("reports", "waiting"): (1, 1),
}


def test_prometheus_answers_every_trigger_with_one_number(tmp_path: Path) -> None:
    assert set(ANSWERS) == set(TRIGGERS)
    rules = [
        {"record": f"wanted:{name}:{kind}", "expr": each["metadata"]["query"]}
        for (name, kind), each in TRIGGERS.items()
    ]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "k", "rules": rules}]}))
    checks = [
        {
            "expr": each["metadata"]["query"],
            "eval_time": "4m",
            "exp_samples": [{"labels": "{}", "value": ANSWERS[key][0]}],
        }
        for key, each in TRIGGERS.items()
    ]
    test = {
        "rule_files": ["rules.yml"],
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": s, "values": v} for s, v in SERIES.items()],
                "promql_expr_test": checks,
            }
        ],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    promtool = require_tool("promtool")
    for arguments in (["check", "rules", "rules.yml"], ["test", "rules", "test.yml"]):
        done = subprocess.run(
            [promtool, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def desired(trigger: Manifest, answer: float, now: int) -> int:
    """Kubernetes' formula for an external metric, beyond its tolerance of a tenth."""
    target = float(trigger["metadata"]["threshold"])
    ratio = answer / target if trigger["metricType"] == "Value" else answer / target / now
    if abs(ratio - 1) <= 0.1:
        return now
    # The sum of the parts may be a hair above a whole number.
    return math.ceil(round(ratio * now, 9))


@pytest.mark.parametrize("key", ANSWERS, ids="-".join)
def test_the_pods_that_follow(key: tuple[str, str]) -> None:
    answer, pods_wanted = ANSWERS[key]
    assert desired(TRIGGERS[key], answer, now=2) == pods_wanted


def test_what_a_queues_age_has_added_stays_as_long_as_it_is_busy() -> None:
    age, busy = TRIGGERS["explain", "age"], TRIGGERS["explain", "busy"]
    # All seven at work, and nobody waits any more: the age alone would send all but two away.
    assert desired(age, 0, now=7) == 0
    assert desired(busy, 4.9, now=7) == 7
    assert desired(busy, 7, now=7) == 10
    assert desired(busy, 2.8, now=7) == 4


def test_the_monitors_find_what_prometheus_yml_finds() -> None:
    made = overlay("example")
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    expected = {
        job["job_name"]: job["dns_sd_configs"][0]["port"]
        for job in config["scrape_configs"]
        if "dns_sd_configs" in job
    }
    found = {}
    for monitor in by_kind(made, "PodMonitor").values():
        spec = monitor["spec"]
        chosen = {r["key"]: r["values"] for r in spec["selector"]["matchExpressions"]}
        for name, pod in pods(made).items():
            labels = pod["metadata"]["labels"]
            if all(labels.get(key) in values for key, values in chosen.items()):
                ports = {port["name"]: port["containerPort"] for port in container(pod)["ports"]}
                (endpoint,) = spec["podMetricsEndpoints"]
                # The job's name, which the alerts go by, comes from that label.
                assert labels[spec["jobLabel"]] == name
                found[name] = ports[endpoint["port"]]
    assert found == {name: port for name, port in expected.items() if name in found}
    assert set(found) == {"gateway", "recorder", "explain", "spatial", "inference", "reports"}
