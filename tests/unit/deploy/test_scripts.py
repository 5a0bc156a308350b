"""The operators' scripts, as far as they go without an engine."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from neuroscan.settings import BrokerSettings, DatabaseSettings, SecretSettings
from tests.unit.deploy.files import DEPLOY, compose

SCRIPTS = sorted(
    path
    for folder in ("scripts", "nginx", "postgres", "redis", "kubernetes")
    for path in (DEPLOY / folder).iterdir()
    if path.suffix == "" and path.is_file() and not path.name.startswith(".")
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_script_can_be_parsed_and_run(script: Path) -> None:
    subprocess.run(["sh", "-n", str(script)], check=True)
    assert script.name == "common" or os.access(script, os.X_OK)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installation") / "secrets"
    make(folder)
    return folder


def make(folder: Path) -> None:
    done = subprocess.run(
        [str(DEPLOY / "scripts/make-secrets"), str(folder)], check=False, capture_output=True
    )
    # Only root gives files to a group that it is not in; others are told how.
    assert done.returncode == 0 or (os.geteuid() != 0 and b"sudo chgrp" in done.stderr)


def test_every_secret_of_the_compose_file_is_made(secrets: Path) -> None:
    assert {path.name for path in secrets.iterdir()} == set(compose()["secrets"])
    for path in secrets.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert os.geteuid() != 0 or path.stat().st_gid == 10001


def test_the_services_take_them_in_production(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEUROSCAN_ENVIRONMENT", "production")
    for name in ("database_url", "database_owner_url", "broker_url", "server_secret"):
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv(f"{name.upper()}_FILE", str(secrets / name))
    database = DatabaseSettings()
    assert (secrets / "database_password").read_text() in database.database_url
    assert (secrets / "database_owner_password").read_text() in str(database.database_owner_url)
    assert (secrets / "redis_password").read_text() in BrokerSettings().broker_url
    assert SecretSettings().read() == (secrets / "server_secret").read_text()


def test_secrets_are_never_made_again(secrets: Path) -> None:
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    make(secrets)
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before


def test_two_installations_share_no_secret(secrets: Path, tmp_path: Path) -> None:
    make(tmp_path / "secrets")
    for path in secrets.iterdir():
        content = path.read_bytes()
        assert not content or (tmp_path / "secrets" / path.name).read_bytes() != content


@pytest.mark.parametrize("script", ["backup", "restore"])
def test_without_arguments_a_script_says_how_it_is_used(script: str) -> None:
    done = subprocess.run(
        [str(DEPLOY / "scripts" / script)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"deploy/scripts/{script} " in done.stderr
