"""The manifests against the schemas of Kubernetes, KEDA and the Prometheus operator, offline.

The files as they stand need no program; what kustomize makes of them needs kubectl.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule

from tests.unit.deploy.files import DEPLOY, compose
from tests.unit.deploy.manifests import (
    FOREIGN,
    KUBERNETES,
    KUSTOMIZATIONS,
    OVERLAYS,
    Manifest,
    build,
    by_kind,
    load_all,
    manifests_of,
    overlay,
    run_kubectl,
)

FILES = sorted(file for file in KUBERNETES.rglob("*.yaml") if manifests_of(file))
# The oldest that is promised (docs/kubernetes.md), and the newest that is known here.
VERSIONS = ("1.30", kubernetes_validate.latest_version())


def check(manifest: Manifest, version: str) -> None:
    """Against the schema, in which a field that it does not know is an error."""
    kind = manifest["kind"]
    if kind == "ScaledObject":
        # The schema at hand is that of KEDA 2.16; this field is 2.17's.
        spec = dict(manifest["spec"])
        spec["fallback"] = {k: v for k, v in spec["fallback"].items() if k != "behavior"}
        same_again(ScaledObject, {**manifest, "spec": spec})
    elif kind == "PodMonitor":
        same_again(PodMonitor, manifest)
    else:
        kubernetes_validate.validate(manifest, version, strict=True)


def same_again(model: Any, manifest: Manifest) -> None:
    """A model drops what it does not know."""
    read = model.model_validate(manifest)
    written = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert written == {k: v for k, v in manifest.items() if k in written}
    assert {*written, "apiVersion", "kind"} == {*manifest}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(KUBERNETES)))
def test_a_file_keeps_to_the_schemas(file: Path) -> None:
    for manifest in manifests_of(file):
        for version in VERSIONS:
            check(manifest, version)


def test_a_field_that_nobody_knows_is_found() -> None:
    deployment = manifests_of(KUBERNETES / "base/gateway.yaml")[0]
    deployment["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        check(deployment, VERSIONS[0])
    scaled = manifests_of(KUBERNETES / "components/autoscale/workers.yaml")[0]
    scaled["spec"]["maxReplicas"] = 2
    with pytest.raises(AssertionError):
        check(scaled, VERSIONS[0])


@pytest.mark.parametrize("name", OVERLAYS)
def test_what_kustomize_makes_keeps_to_the_schemas(name: str) -> None:
    made = overlay(name)
    assert len(made) > 30
    for manifest in made:
        for version in VERSIONS:
            check(manifest, version)


@pytest.mark.parametrize("name", OVERLAYS)
def test_everything_is_in_one_namespace_and_named_once(name: str) -> None:
    made = overlay(name)
    names = [(each["kind"], each["metadata"]["name"]) for each in made]
    assert len(names) == len(set(names))
    assert {each["metadata"].get("namespace") for each in made if each["kind"] != "Namespace"} == {
        "neuroscan"
    }
    assert list(by_kind(made, "Namespace")) == ["neuroscan"]


def test_no_file_is_left_out() -> None:
    for kustomization in KUSTOMIZATIONS:
        folder, said = kustomization.parent, yaml.safe_load(kustomization.read_text())
        named = {name for name in said.get("resources", ()) if name.endswith(".yaml")}
        named |= {patch["path"] for patch in said.get("patches", ()) if "path" in patch}
        there = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert named == there, folder


def test_every_component_is_used_or_explained() -> None:
    listed = {
        name.rpartition("/")[2]
        for file in KUSTOMIZATIONS
        for name in yaml.safe_load(file.read_text()).get("components", ())
    }
    there = {folder.name for folder in (KUBERNETES / "components").iterdir()}
    assert there - listed == {"managed", "explain-gpu"}
    said = (DEPLOY.parent / "docs/kubernetes.md").read_text()
    assert all(f"components/{name}" in said for name in there)


def test_no_secret_and_no_default_for_one_stands_in_a_file() -> None:
    for file in [*KUSTOMIZATIONS, DEPLOY / "redis/kustomization.yaml"]:
        assert "secretGenerator" not in yaml.safe_load(file.read_text())
    for file in FILES:
        assert not [each for each in manifests_of(file) if each["kind"] == "Secret"]
    text = "\n".join(file.read_text() for file in KUBERNETES.rglob("*.yaml"))
    assert not re.search(r"://[^\s/$]*:[^\s/$]+@", text)


def test_the_secret_comes_from_the_files_that_make_secrets_makes(tmp_path: Path) -> None:
    # As docs/kubernetes.md has it; without a cluster it is only printed.
    for name in compose()["secrets"]:
        (tmp_path / name).write_text("" if name.startswith("s3") else f"secret of {name}")
    printed = run_kubectl(
        *("create", "secret", "generic", "neuroscan-secrets", f"--from-file={tmp_path}"),
        *("--namespace=neuroscan", "--dry-run=client", "--output=yaml"),
    )
    made = yaml.safe_load(printed)
    assert set(made["data"]) == set(compose()["secrets"])
    kubernetes_validate.validate(made, VERSIONS[0], strict=True)


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_the_servers_run_composes_own_scripts(name: str) -> None:
    scripts = DEPLOY / name
    maps = by_kind(overlay("cpu"), "ConfigMap")
    files = [each for key, each in maps.items() if key.startswith(f"{name}-files-")]
    assert len(files) == 1
    assert files[0]["data"] == {
        file.name: file.read_text() for file in scripts.iterdir() if file.suffix != ".yaml"
    }


def site(folder: Path, settings: dict[str, str]) -> list[Manifest]:
    """The example with other settings, in a folder elsewhere."""
    example = KUBERNETES / "overlays/example"
    said = yaml.safe_load((example / "kustomization.yaml").read_text())
    for key in ("resources", "components"):
        said[key] = [str(_relative(example / name, folder)) for name in said[key]]
    for generator in said["configMapGenerator"]:
        pairs = dict(pair.split("=", 1) for pair in generator["literals"])
        pairs |= {name: value for name, value in settings.items() if name in pairs}
        generator["literals"] = [f"{name}={value}" for name, value in pairs.items()]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(said))
    return build(folder)


def _relative(path: Path, folder: Path) -> Path:
    up = [".."] * len(folder.resolve().parts[1:])
    return Path(*up, *path.resolve().parts[1:])


def test_a_site_says_everything_in_one_place(tmp_path: Path) -> None:
    made = site(
        tmp_path,
        {
            "PUBLIC_HOSTS": "mri.hospital.example,mri2.hospital.example",
            "INGRESS_NAMESPACE": "way-in",
            "MONITORING_NAMESPACE": "watchers",
            "PROMETHEUS_URL": "http://prometheus.watchers.svc:9090",
        },
    )
    for ingress in by_kind(made, "Ingress").values():
        assert [rule["host"] for rule in ingress["spec"]["rules"]] == ["mri.hospital.example"]
        assert ingress["spec"]["tls"][0]["hosts"] == ["mri.hospital.example"]
    for scaled in by_kind(made, "ScaledObject").values():
        for trigger in scaled["spec"]["triggers"]:
            assert trigger["metadata"]["serverAddress"] == "http://prometheus.watchers.svc:9090"
    text = yaml.safe_dump_all(made)
    for left in ("neuroscan.invalid", "name: ingress-nginx", "name: monitoring", ".monitoring."):
        assert left not in text
    assert text.count("kubernetes.io/metadata.name: watchers") == 2
    assert text.count("kubernetes.io/metadata.name: way-in") == 1
    # Read while the manifests are made, and nobody's afterwards.
    assert "site" not in by_kind(made, "ConfigMap")


def test_nothing_of_the_cluster_is_asked_for_but_what_is_known() -> None:
    kinds = {each["kind"] for each in overlay("example")}
    assert kinds - FOREIGN == {
        *("Namespace", "ConfigMap", "Service", "Deployment", "StatefulSet", "Job", "CronJob"),
        *("PodDisruptionBudget", "NetworkPolicy", "Ingress"),
    }


def test_the_alerts_are_printed_as_the_operator_takes_them() -> None:
    script = KUBERNETES / "prometheus-rule"
    printed = subprocess.run([str(script)], check=True, capture_output=True, text=True).stdout
    (rule,) = load_all(printed)
    PrometheusRule.model_validate(rule)
    assert rule["spec"] == yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
