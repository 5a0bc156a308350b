"""`python -m services.gateway.db.migrated`: wait until the database has this version's tables.

For places where nothing else says what starts first: there a gateway's pod runs this before the
gateway. A schema that this version does not know is a newer one, and no reason to wait: it is what
the one before finds when a rollout is taken back.
"""

import sys
import time

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from neuroscan.settings import DatabaseSettings
from neuroscan.telemetry import configure_logs, get_logger
from services.gateway.db.migrate import alembic_config
from services.gateway.db.session import make_engine

LOOK_EVERY_S = 2.0

log = get_logger(__name__)


def is_migrated(engine: Engine) -> bool:
    """Whether a gateway of this version finds its tables; False while the database is away."""
    try:
        with engine.connect() as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        # By type: the text names the server and the role.
        log.info("migrations.not_seen", error=type(error).__name__)
        return False
    if revision is None:
        return False
    scripts = ScriptDirectory.from_config(alembic_config(""))
    try:
        scripts.get_revision(revision)
    except CommandError:
        return True
    return revision == scripts.get_current_head()


def main() -> None:
    """Wait, for as long as it takes."""
    try:
        settings = DatabaseSettings()
    except ValueError as error:
        sys.exit(f"migrated: {error}")
    configure_logs("migrated")
    engine = make_engine(settings.database_url, pool_size=1)
    while not is_migrated(engine):
        log.info("migrations.awaited")
        time.sleep(LOOK_EVERY_S)
    engine.dispose()


if __name__ == "__main__":
    main()
