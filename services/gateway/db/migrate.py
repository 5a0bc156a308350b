"""`python -m services.gateway.db.migrate`: bring the schema to the newest revision, once.

Runs as the tables' owner and lets the application's role, which owns nothing, read and write: all
but the audit, which it may only add to.
Several gateways may start at the same time: an advisory lock lets one migrate while others wait.
A table that somebody reads for long, a dump for instance, is waited for in short turns: who wants
it after a migration that waits would wait with it.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from neuroscan.settings import DatabaseSettings
from services.gateway.db.audit_partitions import make_partitions

MIGRATIONS = Path(__file__).with_name("migrations")
# For connections that change tables.
LOCK_LIMIT = {"options": "-c lock_timeout=3000"}
# Four minutes in all.
_TRIES = 40
_AGAIN_AFTER_S = 3.0
_LOCK = 0x4E53_4D49  # any number, the same for every migrator


class TablesHeld(RuntimeError):
    """Somebody has held a table for longer than a migration waits."""


def alembic_config(url: str) -> Config:
    """Alembic's configuration without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def migrate(url: str, revision: str = "head") -> None:
    """Upgrade to `revision` under the lock; raises `TablesHeld`, and nothing has changed then."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        try:
            _in_turns(lambda: command.upgrade(alembic_config(url), revision))
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
    engine.dispose()


def prepare(settings: DatabaseSettings) -> None:
    """Migrate, make the audit's next partitions, and grant the application's role its rights.

    Raises `TablesHeld`; it can be run again at any time.
    """
    owner_url = settings.database_owner_url or settings.database_url
    migrate(owner_url)
    role = make_url(settings.database_url).username
    engine = create_engine(owner_url, poolclass=NullPool, connect_args=LOCK_LIMIT)

    def make_ready() -> None:
        with engine.begin() as connection:
            make_partitions(connection)
            if role and role != make_url(owner_url).username:
                _grant(connection, role)

    _in_turns(make_ready)
    engine.dispose()


def _in_turns(change: Callable[[], None]) -> None:
    """Change tables in one transaction; again, some times, where somebody holds one of them."""
    for left in reversed(range(_TRIES)):
        try:
            return change()
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
            if not left:
                raise TablesHeld(
                    "A table is in use for too long, perhaps by a backup. Nothing was changed: "
                    "run the migration again when that is over (pg_stat_activity shows it)."
                ) from error
        time.sleep(_AGAIN_AFTER_S)
    return None


def _grant(connection: Connection, role: str) -> None:
    quoted = connection.dialect.identifier_preparer.quote(role)
    for statement in (
        f"GRANT USAGE ON SCHEMA public TO {quoted}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {quoted}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {quoted}",
    ):
        connection.execute(text(statement))
    partitions = connection.execute(
        text(
            "SELECT 'audit' UNION ALL SELECT inhrelid::regclass::text"
            " FROM pg_inherits WHERE inhparent = 'audit'::regclass"
        )
    ).scalars()
    for table in (*partitions, "alembic_version"):
        connection.execute(text(f"REVOKE UPDATE, DELETE ON {table} FROM {quoted}"))
    connection.execute(text(f"REVOKE INSERT ON alembic_version FROM {quoted}"))


if __name__ == "__main__":
    try:
        prepare(DatabaseSettings())
    except TablesHeld as held:
        sys.exit(f"migrate: {held}")
