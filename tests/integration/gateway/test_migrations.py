"""The migrations make exactly the tables that the code declares, and undo them."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from services.gateway.db import tables
from services.gateway.db.migrate import alembic_config, migrate


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
