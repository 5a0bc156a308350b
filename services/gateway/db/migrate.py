"""`python -m services.gateway.db.migrate`: bring the schema to the newest revision, once.

Several gateways may start at the same time: an advisory lock lets one migrate while others wait.
"""

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from neuroscan.settings import GatewaySettings

MIGRATIONS = Path(__file__).with_name("migrations")
_LOCK = 0x4E53_4D49  # any number, the same for every migrator


def alembic_config(url: str) -> Config:
    """Alembic's configuration without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def migrate(url: str, revision: str = "head") -> None:
    """Upgrade to `revision` under the lock."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _LOCK})
        try:
            command.upgrade(alembic_config(url), revision)
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})
    engine.dispose()


if __name__ == "__main__":
    migrate(GatewaySettings().database_url)
    sys.exit(0)
