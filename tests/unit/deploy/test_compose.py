"""Rules that every service of docker-compose.yml keeps; no engine is needed to check them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from neuroscan.settings import TASK_TIME_LIMIT_S, GatewaySettings
from services.reports.__main__ import DRAIN_S as REPORTS_DRAIN_S
from tests.unit.deploy.files import DEPLOY, ONCE, WATCHING, Service, compose, seconds, services

SERVICES = services()
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
LASTING = {name: each for name, each in SERVICES.items() if name not in ONCE}
WORKERS = ("explain", "spatial")
# Their images come with a health check (see test_dockerfile.py).
OURS = ("gateway", "recorder", "inference", "explain", "spatial", "reports")


@pytest.fixture(params=SERVICES, ids=str)
def service(request: pytest.FixtureRequest) -> Service:
    return SERVICES[request.param]


def test_memory_cpu_and_logs_are_bounded(service: Service) -> None:
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["logging"]["driver"] == "json-file"
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


def test_nothing_can_gain_rights_or_write_to_its_root(service: Service) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert "privileged" not in service


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "postgres"])
def test_nobody_is_root_and_nobody_has_a_capability(name: str) -> None:
    assert SERVICES[name]["user"] == "10001:10001"
    assert "cap_add" not in SERVICES[name]


def test_postgres_has_only_what_giving_up_root_takes() -> None:
    needed = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}
    assert set(SERVICES["postgres"]["cap_add"]) == needed


def test_every_tmpfs_has_a_size(service: Service) -> None:
    assert all("size=" in each for each in service.get("tmpfs", ()))


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_checked_restarted_and_has_time_to_end(name: str) -> None:
    lasting = LASTING[name]
    assert lasting["restart"] == "unless-stopped"
    assert name in OURS or lasting["healthcheck"]["test"]
    assert seconds(lasting["stop_grace_period"]) >= 30
    assert lasting["pids_limit"]


@pytest.mark.parametrize("name", ONCE)
def test_what_runs_once_is_not_restarted(name: str) -> None:
    assert SERVICES[name]["restart"] == "no"


def test_grace_is_longer_than_the_longest_task() -> None:
    grace = {name: seconds(each["stop_grace_period"]) for name, each in LASTING.items()}
    settings = GatewaySettings()
    for name in WORKERS:
        assert grace[name] > TASK_TIME_LIMIT_S
    assert grace["recorder"] > max(settings.report_limit.total_seconds(), TASK_TIME_LIMIT_S)
    drain_s = int(SERVICES["gateway"]["environment"]["DRAIN_SECONDS"])
    assert grace["gateway"] > drain_s > settings.summary_limit.total_seconds()
    assert grace["reports"] > REPORTS_DRAIN_S > settings.summary_limit.total_seconds()
    source = (DEPLOY.parent / "services/inference/app.py").read_text()
    inference_drain = re.search(r"^DRAIN_S = (\d+)$", source, re.MULTILINE)
    assert inference_drain is not None
    assert grace["inference"] > int(inference_drain[1])


def test_only_nginx_is_published_and_nothing_uses_the_hosts_network() -> None:
    always = {name: each for name, each in SERVICES.items() if "profiles" not in each}
    assert [name for name, each in always.items() if "ports" in each] == ["nginx"]
    modes = {each.get("network_mode", "none") for each in SERVICES.values()}
    assert modes == {"none"}


def test_who_watches_comes_with_a_profile_and_is_reached_from_this_host_alone() -> None:
    watching = {name for name, each in SERVICES.items() if each.get("profiles") == ["observe"]}
    assert watching == set(WATCHING)
    assert "ports" not in SERVICES["prometheus"]
    assert [port.split(":3000")[0] for port in SERVICES["grafana"]["ports"]] == [
        "${GRAFANA_BIND:-127.0.0.1}:${GRAFANA_PORT:-3000}"
    ]
    assert SERVICES["grafana"]["networks"] == ["watch"]
    inside = {name for name, each in SERVICES.items() if "watch" in each.get("networks", ())}
    assert inside == set(WATCHING)


def test_prometheus_shares_a_network_with_everyone_that_it_reads_and_knows_their_ports() -> None:
    jobs = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert {job["job_name"] for job in jobs} == set(OURS)
    for job in jobs:
        (search,) = job["dns_sd_configs"]
        (name,) = search["names"]
        assert name == job["job_name"]
        assert set(SERVICES["prometheus"]["networks"]) & set(SERVICES[name]["networks"])
        image = SERVICES[name]["image"].removeprefix("neuroscan-").split(":")[0]
        stage = rf"^FROM (?:base|torch) AS {image}$.*?^EXPOSE ([\d ]+)$"
        exposed = re.search(stage, DOCKERFILE, re.MULTILINE | re.DOTALL)
        assert exposed is not None
        assert str(search["port"]) in exposed[1].split()


@pytest.mark.parametrize("name", OURS)
def test_everyone_is_told_where_traces_go(name: str) -> None:
    told = SERVICES[name]["environment"]
    # Passed on from .env, and not set when it is not there.
    assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] is None


def test_every_folder_of_a_volume_gets_its_owner() -> None:
    owned = dict(volume.split(":") for volume in SERVICES["volumes"]["volumes"])
    assert owned.keys() | {"postgres-data"} == compose()["volumes"].keys()
    made = re.search(r"-m 0750 (.*)\) \\", DOCKERFILE)
    assert made is not None
    assert {Path(folder).name for folder in owned.values()} == set(made[1].split())


def test_only_the_ledgers_own_reach_postgres() -> None:
    inside = {name for name, each in SERVICES.items() if "database" in each.get("networks", ())}
    assert inside == {"postgres", "gateway", "recorder", "database-setup", "migrate", "admin"}
    assert compose()["networks"]["database"]["internal"] is True


def test_who_sees_pixels_only_has_no_way_out() -> None:
    networks = compose()["networks"]
    closed = {name for name, each in networks.items() if each and each.get("internal") is True}
    for name in ("inference", "reports", "redis", "postgres"):
        assert set(SERVICES[name]["networks"]) <= closed
    # Workers reach S3 when they must, by a setting.
    assert networks["store"]["internal"] == "${WORKERS_OFFLINE:-true}"
    for name in WORKERS:
        assert set(SERVICES[name]["networks"]) - closed == {"store"}


@pytest.mark.parametrize("name", [*WORKERS, "inference", "reports", "nginx"])
def test_workers_know_neither_the_database_nor_the_servers_secret(name: str) -> None:
    told = {*SERVICES[name].get("environment", ()), *SERVICES[name].get("secrets", ())}
    assert not [each for each in told if re.search("database|server_secret", each.lower())]


def test_secrets_are_files_and_stand_in_no_environment() -> None:
    for secret in compose()["secrets"].values():
        assert secret["file"].startswith("${SECRETS_FOLDER:-./secrets}/")
    for each in SERVICES.values():
        for variable, value in each.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|KEY", variable):
                assert variable.endswith("_FILE")
                assert value.startswith("/run/secrets/")
    text = (DEPLOY / "docker-compose.yml").read_text()
    assert not re.search(r"://[^\s/$]*:[^\s/$]+@", text)


def test_a_secret_that_is_told_is_mounted() -> None:
    for each in SERVICES.values():
        files = [str(v) for v in each.get("environment", {}).values()]
        named = {f.removeprefix("/run/secrets/") for f in files if f.startswith("/run/secrets/")}
        assert named <= set(each.get("secrets", ()))


def test_nothing_starts_without_being_told_its_names() -> None:
    assert "${PUBLIC_HOSTS:?" in SERVICES["gateway"]["environment"]["ALLOWED_HOSTS"]


def test_migrations_run_once_and_before_those_who_need_them() -> None:
    for name in ("gateway", "recorder"):
        assert SERVICES[name]["depends_on"]["migrate"] == {
            "condition": "service_completed_successfully"
        }
    assert SERVICES["nginx"]["depends_on"]["gateway"] == {"condition": "service_healthy"}


def test_services_that_are_scaled_have_no_name_of_their_own() -> None:
    assert not [name for name, each in SERVICES.items() if "container_name" in each]


def test_each_card_has_a_service_and_all_answer_to_one_name() -> None:
    cards = compose("docker-compose.gpu.yml")["services"]
    of_inference = {name: each for name, each in cards.items() if name.startswith("inference")}
    ids = [
        device["device_ids"]
        for each in of_inference.values()
        for device in each["deploy"]["resources"]["reservations"]["devices"]
    ]
    assert sorted(ids) == [["0"], ["1"], ["2"], ["3"]]
    for name, each in of_inference.items():
        assert each["environment"]["DEVICE"] == "cuda"
        assert name == "inference" or each["networks"]["inner"]["aliases"] == ["inference"]
        assert name == "inference" or each["profiles"]


def test_the_example_names_every_setting_that_is_required_and_holds_no_secret() -> None:
    example = (DEPLOY / ".env.example").read_text()
    required = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "docker-compose.yml").read_text()))
    assert required == {"PUBLIC_HOSTS"}
    assert re.search(r"^PUBLIC_HOSTS=$", example, re.MULTILINE)
    assert not re.search("(PASSWORD|SECRET|TOKEN)=", example)


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not here")
@pytest.mark.parametrize("extra", [[], ["docker-compose.gpu.yml"]])
def test_docker_compose_reads_both_files(extra: list[str]) -> None:
    files = [word for name in ("docker-compose.yml", *extra) for word in ("-f", name)]
    environment = {name: value for name, value in os.environ.items() if name != "PUBLIC_HOSTS"}
    command = ["docker-compose", *files, "config", "--quiet"]
    told = {**environment, "PUBLIC_HOSTS": "scans.example.org"}
    subprocess.run(command, cwd=DEPLOY, env=told, check=True, timeout=60)
    refused = subprocess.run(
        command, cwd=DEPLOY, env={**environment, "PUBLIC_HOSTS": ""}, check=False, timeout=60
    )
    assert refused.returncode != 0
