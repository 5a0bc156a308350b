"""Engines and sessions. Every change is committed explicitly, before a response is sent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlmodel import Session, create_engine

from neuroscan.contracts.problems import Unavailable

# What a database that is away, restarting or overrun raises.
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)

_AFTER_COMMIT = "neuroscan.after_commit"

# A server that is gone without a word is noticed within about 15 s, also while it is waited for.
ANSWER_LIMITS = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


def make_engine(url: str, *, pool_size: int = 10) -> Engine:
    """An engine whose connections are checked before use and give up quickly."""
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        pool_pre_ping=True,
        # Statements name persons; their parameters must not reach a log through an error's text.
        hide_parameters=True,
        connect_args={
            **ANSWER_LIMITS,
            "options": "-c statement_timeout=10000 -c lock_timeout=5000",
        },
    )


def after_commit(session: Session, act: Callable[[], None]) -> None:
    """Do something small once the transaction at hand is committed; not at all if it is not."""
    session.info.setdefault(_AFTER_COMMIT, []).append(act)


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """A session that commits at the end and rolls back on an error.

    Raises `Unavailable` when the database does not answer.
    """
    with Session(engine, expire_on_commit=False) as session:
        try:
            yield session
            session.commit()
            for act in session.info.pop(_AFTER_COMMIT, ()):
                act()
        except DATABASE_AWAY as error:
            raise Unavailable(
                "The database does not answer. Try again in a few seconds."
            ) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise Unavailable(
                    "The database does not answer. Try again in a few seconds."
                ) from error
            raise
