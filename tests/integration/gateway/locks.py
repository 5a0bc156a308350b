"""Waiting until somebody waits."""

import time

from sqlalchemy import Engine, text

from services.gateway.db.session import one_statement


def wait_blocked(engine: Engine) -> None:
    """Wait until somebody in this database waits for a lock."""
    blocked = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        with one_statement(engine) as session:
            if session.execute(blocked).scalar_one():
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")
