"""The audit's monthly partitions: made ahead of time, dropped whole when retention says so.

Only the database's owner can do either; the application's role may insert and select.
"""

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, text

# A gateway that nobody restarts for two years still has somewhere to write.
MONTHS_AHEAD = 24
_PREFIX = "audit_y"


def make_partitions(connection: Connection, today: date | None = None) -> None:
    """Make this month's partition and the next ones', with the trigger against TRUNCATE."""
    month = (today or datetime.now(UTC).date()).replace(day=1)
    for _ in range(MONTHS_AHEAD + 1):
        following = _next(month)
        name = f"{_PREFIX}{month:%Y_m%m}"
        known = connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar()
        if known is None:
            connection.execute(
                text(
                    f"CREATE TABLE {name} PARTITION OF audit"
                    f" FOR VALUES FROM ('{month} 00:00+00') TO ('{following} 00:00+00')"
                )
            )
            connection.execute(
                text(
                    f"CREATE TRIGGER {name}_keeps BEFORE TRUNCATE ON {name}"
                    " FOR EACH STATEMENT EXECUTE FUNCTION audit_keeps()"
                )
            )
        month = following


def drop_partitions(connection: Connection, keep: timedelta) -> list[str]:
    """Drop the partitions whose last row is older than `keep`; returns their names."""
    # The database's clock: a host whose clock is ahead must not drop what is young.
    moment: datetime = connection.execute(text("SELECT now()")).scalar_one()
    oldest = (moment.astimezone(UTC) - keep).date()
    dropped = []
    rows = connection.execute(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit'::regclass")
    )
    for name in sorted(rows.scalars()):
        month = datetime.strptime(name, f"{_PREFIX}%Y_m%m").replace(tzinfo=UTC).date()
        if _next(month) <= oldest:
            connection.execute(text(f"DROP TABLE {name}"))
            dropped.append(name)
    return dropped


def _next(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)
