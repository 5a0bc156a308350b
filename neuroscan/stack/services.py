"""The services of the stack: how each is started, and what it is told.

A service's environment holds the addresses that it needs and no others: only the gateway, its
recorder and the migrations get the database's.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuroscan.stack.folder import DataFolder
from neuroscan.stack.leftovers import MARK
from neuroscan.stack.ports import origin
from neuroscan.stack.supervisor import Program

INNER_HOST = "127.0.0.1"
# Imports of torch take longest: those come first.
EARLY = ("inference", "explain", "spatial", "reports")
LATE = ("recorder", "gateway")
SERVED = ("inference", "reports")
# Those whose metrics have a port of their own; the served ones show theirs under /metrics.
MEASURED = ("gateway", "recorder", "explain", "spatial")
# Their counts lie in files (see `neuroscan.worker_metrics`).
_POOLS = ("explain", "spatial")
_MODULES = {
    "inference": "services.inference",
    "explain": "services.explain",
    "spatial": "services.spatial",
    "reports": "services.reports",
    "recorder": "services.gateway.recorder",
    "gateway": "services.gateway",
    "prepare": "services.gateway.prepare",
}
# The gateway takes nothing new before its workers end; those it calls end after it.
_STOP_RANKS = {"gateway": 0, "recorder": 1, "explain": 1, "spatial": 1}
_LAST_SERVICE_RANK = 2
_SHARED = (
    "BROKER_URL",
    "DATABASE_URL",
    "INFERENCE_URL",
    "OBJECT_STORE_URL",
    "REPORTS_URL",
    "SERVER_SECRET_FILE",
)
_OWNERS = ("DATABASE_OWNER_URL", "LOCAL_KEY_FILE")
_METRICS = ("METRICS_PORT", "PROMETHEUS_MULTIPROC_DIR")
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "inference": (),
    "explain": ("BROKER_URL", "OBJECT_STORE_URL"),
    "spatial": ("BROKER_URL", "OBJECT_STORE_URL"),
    "reports": (),
    "recorder": (*_SHARED, "DATABASE_OWNER_URL"),
    "gateway": _SHARED,
    "prepare": ("DATABASE_URL", "SERVER_SECRET_FILE", *_OWNERS),
}


@dataclass(frozen=True)
class Addresses:
    """Where everything is.

    `ports` are those of the served services and the gateway, `metrics_ports` those on which
    Prometheus may read the others; all on loopback.
    """

    database_url: str
    database_owner_url: str
    broker_url: str
    object_store_url: str
    folder: DataFolder
    host: str
    ports: Mapping[str, int]
    metrics_ports: Mapping[str, int]

    def url(self, service: str) -> str | None:
        """Where a service listens, or None when it doesn't."""
        port = self.ports.get(service)
        return None if port is None else origin(self._host(service), port)

    def metrics_url(self, service: str) -> str | None:
        """Where a service's metrics are, or None when it has none."""
        if service in SERVED:
            return f"{self.url(service)}/metrics"
        port = self.metrics_ports.get(service)
        return None if port is None else f"{origin(self._host(service), port)}/metrics"

    def _host(self, service: str) -> str:
        return self.host if service == "gateway" else INNER_HOST

    def variables(self, service: str) -> dict[str, str]:
        """The addresses that a service is told."""
        everything = {
            "DATABASE_URL": self.database_url,
            "DATABASE_OWNER_URL": self.database_owner_url,
            "SERVER_SECRET_FILE": str(self.folder.server_secret),
            "LOCAL_KEY_FILE": str(self.folder.local_key),
            "BROKER_URL": self.broker_url,
            "OBJECT_STORE_URL": self.object_store_url,
            "INFERENCE_URL": self.url("inference") or "",
            "REPORTS_URL": self.url("reports") or "",
        }
        told = {name: everything[name] for name in _NEEDS[service]}
        if service in self.metrics_ports:
            told |= {"HOST": self._host(service), "METRICS_PORT": str(self.metrics_ports[service])}
        if service in _POOLS:
            told["PROMETHEUS_MULTIPROC_DIR"] = str(self.folder.run / f"metrics-{service}")
        if service in self.ports:
            told |= {"HOST": self._host(service), "PORT": str(self.ports[service])}
        return told


def service_program(
    service: str, addresses: Addresses, folder: DataFolder, environment: Mapping[str, str]
) -> Program:
    """How to run a service; `environment` is the caller's, whose own settings are kept."""
    passed = {
        name: value
        for name, value in environment.items()
        if name not in (*_SHARED, *_OWNERS, *_METRICS)
    }
    # One thread a process: the services share the machine, and torch slows down many times over
    # when its threads wait for one another on busy cores.
    defaults = {"LOG_FORMAT": "console", "OMP_NUM_THREADS": "1", "TORCH_THREADS": "1"}
    if "MODEL_BUNDLE" in passed:
        passed["MODEL_BUNDLE"] = str(Path(passed["MODEL_BUNDLE"]).resolve())
    return Program(
        name=service,
        # -P: a file of the user's named like a module must not come before ours.
        argv=(sys.executable, "-P", "-m", _MODULES[service]),
        environment={
            **defaults,
            **passed,
            **addresses.variables(service),
            "PYTHONUNBUFFERED": "1",
            MARK: str(folder.root),
        },
        url=addresses.url(service),
        metrics_url=addresses.metrics_url(service),
        stop_rank=_STOP_RANKS.get(service, _LAST_SERVICE_RANK),
    )
