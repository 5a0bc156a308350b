"""Who waits for the migrations waits until they are done, and no longer."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import Engine, make_url, text

from neuroscan.settings import DatabaseSettings
from services.gateway.db.migrate import alembic_config, migrate, prepare
from services.gateway.db.migrated import is_migrated
from services.gateway.db.session import make_engine


@pytest.fixture
def empty(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url, pool_size=1)
    yield engine
    engine.dispose()


def test_an_empty_database_and_an_older_one_are_waited_for(
    empty: Engine, database_url: str
) -> None:
    assert not is_migrated(empty)
    migrate(database_url, "0001")
    assert not is_migrated(empty)
    migrate(database_url)
    assert is_migrated(empty)
    command.downgrade(alembic_config(database_url), "base")
    assert not is_migrated(empty)


def test_a_newer_one_is_not(empty: Engine, database_url: str) -> None:
    migrate(database_url)
    with empty.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert is_migrated(empty)


def test_one_that_is_away_is_waited_for() -> None:
    away = make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none", pool_size=1)
    assert not is_migrated(away)
    away.dispose()


def test_the_applications_role_sees_it_when_it_has_its_rights(
    empty: Engine, database_url: str
) -> None:
    role = f"reader_{os.getpid()}"
    with empty.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
    theirs = str(make_url(database_url).set(username=role).render_as_string(hide_password=False))
    engine = make_engine(theirs, pool_size=1)
    try:
        migrate(database_url)
        assert not is_migrated(engine)
        prepare(DatabaseSettings(database_url=theirs, database_owner_url=database_url))
        assert is_migrated(engine)
    finally:
        engine.dispose()
        with empty.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))


def test_the_program_ends_when_the_migrations_have(database_url: str) -> None:
    environment = {**os.environ, "DATABASE_URL": database_url}
    waiting = subprocess.Popen(
        [sys.executable, "-m", "services.gateway.db.migrated"], env=environment
    )
    try:
        time.sleep(3)
        assert waiting.poll() is None
        migrate(database_url)
        assert waiting.wait(20) == 0
    finally:
        waiting.kill()
        waiting.wait()
