"""What an operator watches, asked of the running stack: metrics, Prometheus, traces.

Raises `AssertionError` or `EngineError`.
"""

import subprocess
import time

import yaml

from tests.compose.engine import REPOSITORY, EngineError, Installation, attempt

# Where each service shows its metrics, and whose container asks: one on a network of both.
METRICS = {
    "gateway": (9100, "recorder"),
    "recorder": (9100, "gateway"),
    "explain": (9100, "recorder"),
    "spatial": (9100, "recorder"),
    "inference": (8001, "gateway"),
    "reports": (8002, "gateway"),
}
COLLECTOR_PORT = 4318
# Longer than Prometheus takes to look at everybody twice, and a worker to send its spans.
_PATIENCE_S = 60.0


def collector_service() -> dict[str, object]:
    """A collector that prints whose spans it takes, beside the services that send them."""
    return {
        "image": "neuroscan-gateway:${TAG:-latest}",
        "command": ["python", "/otlp_collector.py", str(COLLECTOR_PORT)],
        "networks": ["inner", "broker"],
        "volumes": [f"{REPOSITORY / 'tests' / 'otlp_collector.py'}:/otlp_collector.py:ro"],
        "healthcheck": {"disable": True},
        "init": True,
        "read_only": True,
    }


def check_metrics(place: Installation) -> dict[str, int]:
    """Samples that each service shows to its neighbors; workers count what their children did."""
    shown = {}
    for service, (port, neighbor) in METRICS.items():
        samples = _metrics(place, place.containers(neighbor)[0], f"{service}:{port}")
        assert samples, f"{service} shows no metrics"
        shown[service] = len(samples)
    for service in ("explain", "spatial"):
        address = f"127.0.0.1:{METRICS[service][0]}"
        done = sum(
            counted(place, container, address, "neuroscan_worker_messages_total", 'outcome="done"')
            for container in place.containers(service)
        )
        assert done > 0, f"the pools of {service} count nothing"
    return shown


def counted(place: Installation, container: str, address: str, name: str, label: str = "") -> float:
    """The sum of a metric's samples that carry the label, as a container sees them there."""
    return sum(
        float(sample.split()[-1])
        for sample in _metrics(place, container, address)
        if sample.startswith(name) and label in sample
    )


def prometheus_image(place: Installation) -> str | None:
    """The image of the profile `observe`, when it is here or can be had."""
    image = str(
        yaml.safe_load(place.compose("--profile", "observe", "config"))["services"]["prometheus"][
            "image"
        ]
    )
    if attempt(["docker", "image", "inspect", image]).returncode == 0:
        return image
    try:
        return image if attempt(["docker", "pull", image], 180).returncode == 0 else None
    except subprocess.TimeoutExpired:
        return None


def check_prometheus(place: Installation) -> dict[str, int]:
    """Start Prometheus; the replicas it reads, by service. Raises when one is missing or twice."""
    place.compose("--profile", "observe", "up", "-d", "--no-build", "prometheus")
    place.wait_healthy()
    wanted = {service: len(place.containers(service)) for service in METRICS}
    give_up_at = time.monotonic() + _PATIENCE_S
    while (found := _replicas_up(place)) != wanted:
        if time.monotonic() > give_up_at:
            raise EngineError(f"Prometheus reads {found}, there are {wanted}")
        time.sleep(2)
    return found


def check_traces(place: Installation) -> set[str]:
    """The services whose spans have come to the collector; raises when one is missing."""
    give_up_at = time.monotonic() + _PATIENCE_S
    while not set(METRICS) <= (seen := _traced(place)):
        if time.monotonic() > give_up_at:
            raise EngineError(f"no spans of {', '.join(sorted(set(METRICS) - seen))}")
        time.sleep(2)
    return seen


def _metrics(place: Installation, container: str, address: str) -> list[str]:
    url = f"http://{address}/metrics"
    code = f"import urllib.request as r; print(r.urlopen({url!r}, timeout=5).read().decode())"
    lines = place.python(container, code).splitlines()
    return [line for line in lines if line.startswith("neuroscan_")]


def _replicas_up(place: Installation) -> dict[str, int]:
    container = place.containers("prometheus")[0]
    url = "http://127.0.0.1:9090"
    asked = attempt(
        ["docker", "exec", container, "promtool", "query", "instant", url, "count by (job) (up==1)"]
    )
    # {job="gateway"} => 2 @[1700000000.0]
    lines = [line for line in asked.stdout.splitlines() if " => " in line]
    return {line.split('"')[1]: int(line.split(" => ")[1].split()[0]) for line in lines}


def _traced(place: Installation) -> set[str]:
    lines = place.logs("collector", 100_000).splitlines()
    return {line.split("span of ")[1].split()[0] for line in lines if "span of " in line}
