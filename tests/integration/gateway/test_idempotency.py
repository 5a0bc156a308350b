"""A key belongs to one request at a time, whatever happens to its first holder."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from neuroscan.contracts.problems import IdempotencyInProgress
from services.gateway.db.session import transaction
from services.gateway.idempotency import repository
from services.gateway.idempotency.repository import KeyUse
from tests.integration.gateway.ledger import add_scan

USE = KeyUse(principal="local", route="POST /v1/scans", key="k", fingerprint="f")
DAY = timedelta(days=1)


def claim(engine: Engine, hold: timedelta) -> bool:
    with transaction(engine) as session:
        return repository.claim_key(session, USE, hold=hold, lifetime=DAY)


def bind(engine: Engine, scan_id: str) -> None:
    with transaction(engine) as session:
        repository.bind_key(session, USE, scan_id=scan_id)


def test_a_held_key_is_refused_and_an_abandoned_one_is_taken_over(engine: Engine) -> None:
    assert claim(engine, timedelta(0))
    assert claim(engine, timedelta(minutes=1))
    assert not claim(engine, timedelta(minutes=1))


def test_only_one_of_two_holders_makes_a_scan(engine: Engine) -> None:
    first, second = add_scan(engine), add_scan(engine)
    assert claim(engine, timedelta(0))
    assert claim(engine, timedelta(minutes=1))
    bind(engine, second)
    with pytest.raises(IdempotencyInProgress):
        bind(engine, first)
    with transaction(engine) as session:
        row = repository.key_row(session, USE)
        assert row is not None
        assert row.scan_id == second
