"""The migrations make exactly the tables that the code declares, and undo them."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from services.gateway.db import migrate as module
from services.gateway.db import tables
from services.gateway.db.migrate import TablesHeld, alembic_config, migrate


def is_declared(name: str | None, kind: str, parents: object) -> bool:
    """Everything but the audit's partitions, which come and go with the months."""
    return not (kind == "table" and (name or "").startswith("audit_y"))


def test_migrated_schema_is_the_declared_one(database_url: str) -> None:
    migrate(database_url)
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.connect() as connection:
        options = {"compare_type": True, "include_name": is_declared}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []
        assert tables.Scan.__tablename__ in inspect(connection).get_table_names()


def test_down_and_up_again(database_url: str) -> None:
    migrate(database_url)
    command.downgrade(alembic_config(database_url), "base")
    engine = create_engine(database_url, poolclass=NullPool)
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    migrate(database_url)
    migrate(database_url)


def test_a_table_that_a_dump_holds_is_waited_for_in_short_turns(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(database_url, "0003")
    monkeypatch.setattr(module, "_TRIES", 2)
    monkeypatch.setattr(module, "_AGAIN_AFTER_S", 0.1)
    with (
        psycopg.connect(database_url.replace("+psycopg", "")) as dump,
        ThreadPoolExecutor(1) as threads,
    ):
        dump.execute("LOCK TABLE scan IN ACCESS SHARE MODE")
        migrating = threads.submit(migrate, database_url)
        try:
            with pytest.raises(TablesHeld, match="run the migration again"):
                migrating.result(60)
        finally:
            dump.rollback()
    migrate(database_url)


def test_names_that_were_stored_before_are_composed(database_url: str) -> None:
    migrate(database_url, "0004")
    decomposed, composed = "Jose\u0301", "Jos\u00e9"
    # Grows in form C.
    long = "\u0958" * 40
    rows = [
        ("1", decomposed, decomposed),
        ("2", "Nu\u0308\u0301", None),
        ("3", "N\u01d8", None),
        ("4", long, "plain"),
        ("5", "plain", long),
    ]
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        for number, mrn, name in rows:
            connection.execute(
                "INSERT INTO patient (id, medical_record_number, name, sex, notes, created_at,"
                " updated_at) VALUES (%s, %s, %s, 'unknown', '', now(), now())",
                (f"00000000-0000-7000-8000-00000000000{number}", mrn, name),
            )
        connection.commit()
        migrate(database_url)
        found = connection.execute(
            "SELECT medical_record_number, name FROM patient ORDER BY id"
        ).fetchall()
    assert found == [
        (composed, composed),
        # Two that differ in nothing else.
        ("Nu\u0308\u0301", None),
        ("N\u01d8", None),
        (long, "plain"),
        ("plain", "\u0915\u093c" * 40),
    ]
