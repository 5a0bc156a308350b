"""A real Prometheus with the shipped configuration, told where a local stack's services are."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

from neuroscan.stack import Stack
from neuroscan.stack.ports import free_ports, origin
from tests.observing import PROMETHEUS, require_tool

_ENDS_WITHIN_S = 20


class PrometheusServer:
    """Questions to a running Prometheus."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=10)

    def ready(self) -> bool:
        """Whether it answers queries."""
        try:
            return self._http.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query; fails for one that Prometheus refuses."""
        answer = self._http.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        result = answer["data"]["result"]
        return result if isinstance(result, list) else []

    def value(self, expression: str) -> float:
        """The one sample's value, 0 without any."""
        samples = self.query(expression)
        assert len(samples) <= 1, samples
        return float(samples[0]["value"][1]) if samples else 0.0

    def by(self, label: str, expression: str) -> dict[str, float]:
        """The samples' values by one label."""
        return {
            sample["metric"][label]: float(sample["value"][1]) for sample in self.query(expression)
        }

    def rules(self) -> list[dict[str, Any]]:
        """All rules with their health."""
        groups = self._http.get("/api/v1/rules").json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def until(self, expression: str, at_least: float, limit_s: float = 60) -> float:
        """Ask until a value is large enough."""
        give_up_at = time.monotonic() + limit_s
        while (value := self.value(expression)) < at_least:
            assert time.monotonic() < give_up_at, f"{expression} stays {value}"
            time.sleep(0.5)
        return value

    def close(self) -> None:
        """Release the connections."""
        self._http.close()


@contextmanager
def prometheus_of(stack: Stack, folder: Path) -> Iterator[PrometheusServer]:
    """Prometheus scraping a stack once a second; skips where there is no `prometheus`."""
    program = require_tool("prometheus")
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] |= {
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "evaluation_interval": "1s",
    }
    for job in config["scrape_configs"]:
        # In place of the compose file's names; everything else is as shipped.
        del job["dns_sd_configs"]
        url = stack.state.services[job["job_name"]].metrics_url
        assert url is not None, job
        job["static_configs"] = [{"targets": [urlsplit(url).netloc]}]
    (folder / "alerts.yml").write_text((PROMETHEUS / "alerts.yml").read_text())
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_ports(1)[0]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    server = PrometheusServer(origin("127.0.0.1", port))
    try:
        give_up_at = time.monotonic() + 30
        while not server.ready():
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            assert time.monotonic() < give_up_at, (folder / "prometheus.log").read_text()
            time.sleep(0.2)
        yield server
    finally:
        server.close()
        process.terminate()
        process.wait(_ENDS_WITHIN_S)
