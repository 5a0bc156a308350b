"""One embedded stack for all integration tests, and fresh databases beside it."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest
from hypothesis import settings
from sqlalchemy import Engine

from neuroscan.stack import Stack
from services.gateway.db.migrate import migrate
from services.gateway.db.session import make_engine

# The same examples in every run, so that a change and nothing else makes a test fail;
# HYPOTHESIS_PROFILE=explore looks further.
settings.register_profile("steady", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole system on embedded servers, ready."""
    # Webhooks' notices go to servers that tests run on loopback.
    with Stack(environment={"WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}) as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="session")
def api(stack: Stack) -> Iterator[httpx.Client]:
    """A client of the running gateway."""
    bearer = {"Authorization": f"Bearer {stack.key}"}
    with httpx.Client(base_url=stack.url, headers=bearer, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def server_url(stack: Stack) -> str:
    """The embedded PostgreSQL server, with its own database."""
    url = stack.state.database_url
    assert url
    return url


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """A migrated database of its own, dropped afterwards."""
    with _empty_database(server_url) as url:
        migrate(url)
        yield url


@contextmanager
def _empty_database(server_url: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    plain = server_url.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield server_url.replace("/neuroscan?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    """An empty database of its own, dropped afterwards."""
    with _empty_database(server_url) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated database."""
    migrate(database_url)
    engine = make_engine(database_url)
    yield engine
    engine.dispose()
