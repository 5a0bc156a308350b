"""The manifests say what the compose file says: services, settings, secrets, bounds, hardening."""

import re
from collections.abc import Iterator

import pytest
from pydantic_settings import BaseSettings

from neuroscan import settings
from tests.unit.deploy.files import DEPLOY, REPOSITORY, WATCHING, compose, seconds, services
from tests.unit.deploy.manifests import (
    COMPONENT,
    OVERLAYS,
    Manifest,
    by_kind,
    container,
    default,
    environment,
    mebibytes,
    overlay,
    pods,
)

# Prometheus and Grafana are the cluster's own here.
COMPOSE = {name: each for name, each in services().items() if name not in WATCHING}
# nginx is the ingress here, and volumes have their owner by fsGroup.
ELSEWHERE = {"nginx", "volumes"}
SERVICES = sorted(set(COMPOSE) - ELSEWHERE)
LASTING = [name for name in SERVICES if COMPOSE[name]["restart"] != "no"]
OURS = ("gateway", "recorder", "inference", "explain", "spatial", "reports")
# Kubernetes' way to what compose writes in another.
ADDED = {"gateway": {"PUBLIC_HOSTS"}, "recorder": {"PUBLIC_HOSTS"}, "admin": {"PUBLIC_HOSTS"}}
ADDED["postgres"] = {"PGDATA"}
# Read by libraries, not by this project's settings.
OF_LIBRARIES = {"OMP_NUM_THREADS", "FORWARDED_ALLOW_IPS", "POSTGRES_USER", "PGDATA"}


@pytest.fixture(params=OVERLAYS)
def made(request: pytest.FixtureRequest) -> list[Manifest]:
    return overlay(request.param)


@pytest.fixture(params=SERVICES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pod(name: str) -> Manifest:
    return pods(overlay("cpu"))[name]


def test_the_services_are_composes(made: list[Manifest]) -> None:
    assert sorted(pods(made)) == SERVICES
    lasting = by_kind(made, "Deployment", "StatefulSet")
    assert sorted(lasting) == sorted(LASTING)
    for each, manifest in lasting.items():
        labels = manifest["spec"]["template"]["metadata"]["labels"]
        assert labels[COMPONENT] == each
        assert manifest["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_images_and_commands_are_composes(name: str, pod: Manifest) -> None:
    ours, theirs = container(pod), COMPOSE[name]
    assert ours["image"] == theirs["image"].removesuffix(":${TAG:-latest}")
    said = [*ours.get("command", ()), *ours.get("args", ())]
    assert said == [*theirs.get("entrypoint", ()), *theirs.get("command", ())]


def test_settings_are_composes(name: str, pod: Manifest) -> None:
    theirs = {k: default(v) for k, v in COMPOSE[name].get("environment", {}).items() if v}
    theirs |= {k: "" for k, v in COMPOSE[name].get("environment", {}).items() if v == ""}
    told = environment(overlay("cpu"), container(pod))
    # What a site must say has no value here.
    expected = set(theirs) - {"OBJECT_STORE_URL"} | ADDED.get(name, set())
    assert set(told) == expected
    for variable in set(told) & set(theirs) - {"ALLOWED_HOSTS"}:
        assert told[variable] == theirs[variable], variable


def test_what_a_site_must_say_is_missing_until_it_does() -> None:
    for each in ("gateway", "recorder", "explain", "spatial", "admin"):
        told = environment(overlay("cpu"), container(pods(overlay("cpu"))[each]))
        assert "OBJECT_STORE_URL" not in told
        told = environment(overlay("example"), container(pods(overlay("example"))[each]))
        assert told["OBJECT_STORE_URL"].startswith("s3://")
    # Then the process refuses to start.
    assert "object_store_url" in settings.StoreSettings.required_in_production
    for each in ("gateway", "recorder", "admin"):
        variables = {v["name"]: v for v in container(pods(overlay("cpu"))[each])["env"]}
        place = variables["PUBLIC_HOSTS"]["valueFrom"]["configMapKeyRef"]
        assert "optional" not in place
        maps = by_kind(overlay("cpu"), "ConfigMap")
        assert place["key"] not in maps[place["name"]]["data"]
        assert variables["ALLOWED_HOSTS"]["value"] == "$(PUBLIC_HOSTS),127.0.0.1"


def known_settings() -> Iterator[str]:
    for each in vars(settings).values():
        if isinstance(each, type) and issubclass(each, BaseSettings):
            for field in each.model_fields:
                yield field.upper()
            for field in getattr(each, "from_files", ()):
                yield f"{field.upper()}_FILE"


def test_every_setting_is_one_that_somebody_reads(made: list[Manifest]) -> None:
    source = "".join(
        file.read_text()
        for folder in ("neuroscan", "services")
        for file in (REPOSITORY / folder).rglob("*.py")
    )
    for pod in pods(made).values():
        names = set(environment(made, container(pod)))
        unknown = names - set(known_settings()) - OF_LIBRARIES - {"PUBLIC_HOSTS"}
        unknown = {each for each in unknown if not each.startswith("AWS_")}
        assert all(f'"{each}"' in source for each in unknown), unknown


def test_secrets_are_composes_and_files(name: str, pod: Manifest) -> None:
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    mounts = {each["name"]: each for each in container(pod)["volumeMounts"]}
    given = set(COMPOSE[name].get("secrets", ()))
    assert ("secrets" in volumes) == bool(given)
    if given:
        secret = volumes["secrets"]["secret"]
        assert secret["secretName"] == "neuroscan-secrets"
        assert {item["key"] for item in secret["items"]} == given
        assert all(item["path"] == item["key"] for item in secret["items"])
        # For the group that the pod runs as, and nobody else.
        assert secret["defaultMode"] == 0o440
        assert mounts["secrets"]["mountPath"] == "/run/secrets"
        assert mounts["secrets"]["readOnly"] is True
    assert "secretKeyRef" not in str(pod)
    told = environment(overlay("cpu"), container(pod))
    files = {v.removeprefix("/run/secrets/") for v in told.values() if v.startswith("/run/sec")}
    assert files <= given


def test_bounds_are_composes(name: str, pod: Manifest) -> None:
    theirs = COMPOSE[name]
    bounds = container(pod)["resources"]
    assert mebibytes(bounds["limits"]["memory"]) == mebibytes(default(theirs["mem_limit"]))
    cpus = bounds["limits"]["cpu"]
    millis = int(cpus[:-1]) if cpus.endswith("m") else int(cpus) * 1000
    assert millis == float(default(theirs["cpus"])) * 1000
    # Memory is never promised twice.
    assert bounds["requests"]["memory"] == bounds["limits"]["memory"]
    assert bounds["requests"]["cpu"]
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    sizes = {
        mount["mountPath"]: volumes[mount["name"]]["emptyDir"]
        for mount in container(pod)["volumeMounts"]
        if "emptyDir" in volumes.get(mount["name"], {})
    }
    assert {each["medium"] for each in sizes.values()} == {"Memory"}
    expected = dict(each.split(":", 1) for each in theirs["tmpfs"])
    expected = {path: re.findall(r"size=(\w+)", rest)[0] for path, rest in expected.items()}
    if "shm_size" in theirs:
        expected["/dev/shm"] = theirs["shm_size"]
    assert {path: mebibytes(each["sizeLimit"]) for path, each in sizes.items()} == {
        path: mebibytes(size) for path, size in expected.items()
    }


@pytest.mark.parametrize("lasting", LASTING)
def test_there_is_time_to_end(lasting: str) -> None:
    pod = pods(overlay("cpu"))[lasting]
    before = 0
    if hook := container(pod).get("lifecycle"):
        command, length = hook["preStop"]["exec"]["command"]
        assert command == "sleep"
        before = int(length)
    grace = pod["spec"]["terminationGracePeriodSeconds"]
    assert grace >= seconds(COMPOSE[lasting]["stop_grace_period"]) + before


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def test_every_pod_keeps_to_the_restricted_profile(made: list[Manifest]) -> None:
    for each, pod in pods(made).items():
        spec = pod["spec"]
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        user = 999 if each == "postgres" else 10001
        assert {security[key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {user}
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"} & set(spec)
        assert all(
            {"configMap", "secret", "emptyDir", "persistentVolumeClaim"} & set(volume)
            for volume in spec["volumes"]
        )
        for one in containers(pod):
            assert one["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "/tmp" in {mount["mountPath"] for mount in one["volumeMounts"]}
            assert not any("hostPort" in port for port in one.get("ports", ()))
    labels = by_kind(made, "Namespace")["neuroscan"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_no_pod_speaks_to_the_cluster_or_is_its_own_init(made: list[Manifest]) -> None:
    for pod in pods(made).values():
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["enableServiceLinks"] is False
        # As compose's `init: true`. The kernel spares process 1 a SIGKILL from its own namespace,
        # and that is how a stuck worker ends.
        assert pod["spec"]["shareProcessNamespace"] is True


@pytest.mark.parametrize("each", OURS)
def test_probes_are_the_images_own_check(each: str) -> None:
    target = "gateway" if each == "recorder" else each
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    stage = re.search(rf"^FROM \w+ AS {target}\n(.*?)(?=^FROM |\Z)", dockerfile, re.M | re.S)
    assert stage is not None
    image_check = re.findall(r"^  CMD \[(.*)\]$", stage[1], re.M)[0]
    check = [word.strip(' "') for word in image_check.split(",")]
    if each == "recorder":
        check = [str(word) for word in COMPOSE["recorder"]["healthcheck"]["test"][1:]]
    probes = container(pods(overlay("cpu"))[each])
    ready = probes["readinessProbe"]["exec"]["command"]
    assert ready == check
    # Whether the process lives does not hang on anybody else.
    alive = [word.replace("/health/ready", "/health/live") for word in check]
    assert probes["livenessProbe"]["exec"]["command"] == alive
    assert probes["startupProbe"]["exec"]["command"] in (check, alive)
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        # Above what the check itself waits for an answer.
        assert probes[kind]["timeoutSeconds"] > 4
    began = probes["startupProbe"]
    start_s = int(re.findall(r"--start-period=(\d+)s", stage[1])[0])
    assert began["failureThreshold"] * began["periodSeconds"] >= start_s


@pytest.mark.parametrize("server", ["redis", "postgres"])
def test_a_server_is_checked_as_in_compose_and_never_killed_for_it(server: str) -> None:
    probes = container(pods(overlay("cpu"))[server])
    check = COMPOSE[server]["healthcheck"]["test"][1].replace("$$", "$")
    for kind in ("startupProbe", "readinessProbe"):
        command = probes[kind]["exec"]["command"]
        assert (command[2] if command[0] == "sh" else " ".join(command)) == check
    assert "livenessProbe" not in probes


def test_a_rollout_takes_nothing_away(made: list[Manifest]) -> None:
    deployments = by_kind(made, "Deployment")
    assert sorted(deployments) == sorted(OURS)
    budgets = by_kind(made, "PodDisruptionBudget")
    assert sorted(budgets) == sorted(OURS)
    for each, manifest in deployments.items():
        spec = manifest["spec"]
        assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        selector = spec["selector"]
        assert budgets[each]["spec"] == {"maxUnavailable": 1, "selector": selector}
        spread = spec["template"]["spec"]["topologySpreadConstraints"]
        assert [one["topologyKey"] for one in spread] == [
            "kubernetes.io/hostname",
            "topology.kubernetes.io/zone",
        ]
        assert all(one["labelSelector"] == selector for one in spread)


def test_gateway_and_recorder_wait_for_the_migrations() -> None:
    found = pods(overlay("cpu"))
    waiting = {name for name, pod in found.items() if "initContainers" in pod["spec"]}
    assert waiting == {"gateway", "recorder"}
    for each in waiting:
        first = found[each]["spec"]["initContainers"][0]
        assert first["command"] == ["python", "-m", "services.gateway.db.migrated"]
        assert first["image"] == container(found[each])["image"]
        assert environment(overlay("cpu"), first).keys() >= {"DATABASE_URL_FILE"}
    for each, manifest in by_kind(overlay("cpu"), "Job").items():
        assert found[each]["spec"]["restartPolicy"] == "OnFailure"
        # A Job can't be changed: the next version's needs its name.
        assert manifest["spec"]["ttlSecondsAfterFinished"] <= 600
    assert by_kind(overlay("cpu"), "CronJob")["admin"]["spec"]["suspend"] is True


def test_a_card_for_each_pod_of_inference_and_nothing_else_changes() -> None:
    cpu, gpu = pods(overlay("cpu")), pods(overlay("gpu"))
    assert {name for name in cpu if cpu[name] != gpu[name]} == {"inference"}
    assert environment(overlay("gpu"), container(gpu["inference"]))["DEVICE"] == "cuda"
    assert container(gpu["inference"])["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert environment(overlay("gpu"), container(gpu["explain"]))["DEVICE"] == "cpu"
    told = compose("docker-compose.gpu.yml")["services"]["inference"]["environment"]
    assert told == {"DEVICE": "cuda"}


def test_data_of_the_servers_outlives_their_pods() -> None:
    for each, manifest in by_kind(overlay("cpu"), "StatefulSet").items():
        claims = manifest["spec"]["volumeClaimTemplates"]
        assert len(claims) == 1
        mounts = {
            m["name"]: m["mountPath"] for m in container(pods(overlay("cpu"))[each])["volumeMounts"]
        }
        volumes = dict(volume.split(":")[:2] for volume in COMPOSE[each]["volumes"])
        assert mounts["data"] == volumes[f"{each}-data"]
        assert mounts["files"] == volumes[f"./{each}"]
