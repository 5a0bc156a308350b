"""What the services export, what dashboard and alerts ask for, and where Prometheus is."""

import json
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from neuroscan.queues import broker_client
from neuroscan.settings import BrokerSettings
from neuroscan.worker_metrics import WorkerMetrics
from services.gateway import middleware, recorder
from services.gateway.db.session import make_engine
from services.gateway.pipeline.backlog import Backlog
from services.inference.metrics import Metrics as InferenceMetrics
from services.reports.press import Metrics as ReportMetrics

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "neuroscan.json"
# What Prometheus itself says of a target.
_OF_PROMETHEUS = {"up"}
_SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
}
_NAME = re.compile(r"\b(?:neuroscan_\w+|process_\w+|up)\b")


def require_tool(name: str) -> str:
    """The path of `prometheus` or `promtool`; skips the test where there is none."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is missing: scripts/setup prometheus (Debian's package prometheus)")
    return path


@cache
def exported() -> set[str]:
    """The names of all series that the services' code can export."""
    # The modules of gateway and recorder register theirs when they are imported.
    assert {middleware.__name__, recorder.__name__} <= sys.modules.keys()
    WorkerMetrics()
    nowhere = make_engine("postgresql+psycopg://127.0.0.1:1/none")
    backlog = Backlog(nowhere, broker_client(BrokerSettings()))
    families: list[Metric] = [
        *REGISTRY.collect(),
        *backlog.describe(),
        *_parsed(InferenceMetrics().text()),
        *_parsed(generate_latest(_registry_of(ReportMetrics()))),
    ]
    return _OF_PROMETHEUS | {name for family in families for name in _series(family)}


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """Each panel's title and one of its queries."""
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def alerts() -> list[dict[str, Any]]:
    """The alert rules."""
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def names_in(query: str) -> set[str]:
    """The series that a query asks for."""
    return set(_NAME.findall(re.sub(r'"[^"]*"', '""', query)))


def _registry_of(metrics: ReportMetrics) -> CollectorRegistry:
    return metrics.registry


def _parsed(text: bytes) -> Iterable[Metric]:
    return text_string_to_metric_families(text.decode())


def _series(family: Metric) -> list[str]:
    return [family.name + suffix for suffix in _SUFFIXES.get(family.type, ("",))]
