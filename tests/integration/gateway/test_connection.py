"""What the ledger's own connection must keep although it waits so seldom."""

from contextlib import ExitStack

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from services.gateway.db.session import at_end, one_statement, snapshot, transaction
from services.gateway.db.tables import Erasure, Patient


def count(engine: Engine, table: str = "erasure") -> int:
    with one_statement(engine) as session:
        return int(session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def test_what_is_not_committed_leaves_nothing_and_the_connection_goes_on(engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Erasure(prefix="a"))
        session.flush()
    assert count(engine) == 0
    with transaction(engine) as session:
        session.add(Erasure(prefix="b"))
    assert count(engine) == 1


def test_what_goes_out_with_the_commit_is_refused_as_ever(engine: Engine) -> None:
    twice = text("INSERT INTO erasure (prefix, asked_at) VALUES ('a', now())")
    with ExitStack() as leaving:
        leaving.enter_context(pytest.raises(IntegrityError))
        session = leaving.enter_context(transaction(engine))
        session.add_all([Erasure(prefix="a"), Patient(medical_record_number="1")])
        at_end(session, twice)
    # All of it or nothing.
    assert (count(engine), count(engine, "patient")) == (0, 0)
    with transaction(engine) as session:
        session.add(Erasure(prefix="a"))
    assert count(engine) == 1


def test_statements_of_a_transaction_are_one(engine: Engine) -> None:
    with transaction(engine) as session:
        session.execute(text("INSERT INTO erasure (prefix, asked_at) VALUES ('a', now())"))
        assert count(engine) == 0
    assert count(engine) == 1


def test_a_snapshot_sees_one_moment(engine: Engine) -> None:
    with transaction(engine) as session:
        snapshot(session)
        before = session.execute(text("SELECT count(*) FROM erasure")).scalar_one()
        with transaction(engine) as other:
            other.add(Erasure(prefix="a"))
        assert session.execute(text("SELECT count(*) FROM erasure")).scalar_one() == before
    # Which ends with the transaction: the next one on this connection sees each moment.
    with transaction(engine) as session:
        assert session.execute(text("SHOW transaction_isolation")).scalar_one() == "read committed"


def test_connections_that_the_server_closed_are_not_used(engine: Engine, database_url: str) -> None:
    with transaction(engine) as first, transaction(engine) as second:
        pids = {s.execute(text("SELECT pg_backend_pid()")).scalar_one() for s in (first, second)}
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as other:
        for pid in pids:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    with transaction(engine) as session:
        assert session.execute(text("SELECT pg_backend_pid()")).scalar_one() not in pids
