"""Secrets come from files, and nothing runs on defaults outside development."""

from pathlib import Path

import pytest

from neuroscan.settings import (
    BrokerSettings,
    DatabaseSettings,
    GatewaySettings,
    SecretSettings,
    StoreSettings,
)

PASSWORD = "q8Zt3mWv6Kx1Rb5N"
DATABASE = f"postgresql+psycopg://neuroscan:{PASSWORD}@postgres/neuroscan"
BROKER = f"redis://:{PASSWORD}@redis:6379/0"


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("DATABASE_URL", "BROKER_URL", "OBJECT_STORE_URL", "ALLOWED_HOSTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NEUROSCAN_ENVIRONMENT", "production")
    return monkeypatch


def test_an_address_with_its_password_is_read_from_a_file(
    production: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "database_url").write_text(DATABASE + "\n")
    (tmp_path / "key").write_text("AKIA\n")
    production.setenv("DATABASE_URL_FILE", str(tmp_path / "database_url"))
    production.setenv("AWS_ACCESS_KEY_ID_FILE", str(tmp_path / "key"))
    production.setenv("OBJECT_STORE_URL", "s3://bucket")
    assert DatabaseSettings().database_url == DATABASE
    key = StoreSettings().aws_access_key_id
    assert key is not None
    assert key.get_secret_value() == "AKIA"


def test_the_variable_comes_before_the_file(production: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broker_url").write_text("redis://elsewhere")
    production.setenv("BROKER_URL_FILE", str(tmp_path / "broker_url"))
    production.setenv("BROKER_URL", BROKER)
    assert BrokerSettings().broker_url == BROKER


def test_a_file_that_is_not_there_is_named_by_its_variable(
    production: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    production.setenv("BROKER_URL_FILE", str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="BROKER_URL_FILE"):
        BrokerSettings()


@pytest.mark.parametrize("settings", [DatabaseSettings, BrokerSettings, StoreSettings])
def test_defaults_are_refused_outside_development(
    production: pytest.MonkeyPatch, settings: type[DatabaseSettings]
) -> None:
    with pytest.raises(ValueError, match="must be set"):
        settings()
    production.setenv("NEUROSCAN_ENVIRONMENT", "development")
    settings()


def test_the_gateway_must_be_told_its_hosts(production: pytest.MonkeyPatch) -> None:
    production.setenv("DATABASE_URL", DATABASE)
    with pytest.raises(ValueError, match="ALLOWED_HOSTS"):
        GatewaySettings()


@pytest.mark.parametrize("password", ["", ":neuroscan", ":changechangechange", ":0000000000000000"])
def test_weak_passwords_are_refused_and_not_repeated(
    production: pytest.MonkeyPatch, password: str
) -> None:
    production.setenv("DATABASE_URL", f"postgresql+psycopg://neuroscan{password}@postgres/db")
    production.setenv("BROKER_URL", f"redis://{password}@redis:6379/0")
    for settings in (DatabaseSettings, BrokerSettings):
        with pytest.raises(ValueError, match="must hold a password") as caught:
            settings()
        assert not password or password[1:] not in str(caught.value)


def test_a_server_secret_that_repeats_a_word_is_refused(production: pytest.MonkeyPatch) -> None:
    production.setenv("SERVER_SECRET", "changeme" * 4)
    with pytest.raises(ValueError, match="not random"):
        SecretSettings().read()
    production.setenv("SERVER_SECRET", "6f1c9b0d84e25a7340ccd1b2e9f87a65")
    assert SecretSettings().read()
