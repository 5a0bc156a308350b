"""Alembic's entry: runs each revision in one transaction on the configured database."""

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from services.gateway.db import tables  # noqa: F401 - registers the tables
from services.gateway.db.migrate import LOCK_LIMIT

url = context.config.get_main_option("sqlalchemy.url")
assert url
engine = create_engine(url, poolclass=NullPool, connect_args=LOCK_LIMIT)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
