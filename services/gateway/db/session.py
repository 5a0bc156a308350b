"""Engines and sessions. Every change is committed explicitly, before a response is sent."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, Executable
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlmodel import Session, create_engine

from neuroscan.contracts.problems import Unavailable
from services.gateway.db.connection import BEGIN_SNAPSHOT, driver_connection, install

# What a database that is away, restarting or overrun raises.
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)

_AFTER_COMMIT = "neuroscan.after_commit"
_AT_END = "neuroscan.at_end"

# A server that is gone without a word is noticed within about 15 s, also while it is waited for.
ANSWER_LIMITS = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


def make_engine(url: str, *, pool_size: int = 10) -> Engine:
    """An engine whose connections are looked at before use and give up quickly."""
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=5,
        # Statements name persons; their parameters must not reach a log through an error's text.
        hide_parameters=True,
        # The driver's; transactions are begun by `connection`.
        isolation_level="AUTOCOMMIT",
        connect_args={
            **ANSWER_LIMITS,
            "options": "-c statement_timeout=10000 -c lock_timeout=5000",
        },
    )
    install(engine)
    return engine


def snapshot(session: Session) -> None:
    """Let all queries of this transaction see one moment. To be called before the first.

    Else a scan that is deleted between two queries has a row without stages.
    """
    driver_connection(session.connection()).begin = BEGIN_SNAPSHOT


def writes_only(session: Session) -> None:
    """Promise that nothing is read any more: what is written goes out with the commit."""
    driver_connection(session.connection()).send_together()


def at_end(session: Session, statement: Executable) -> None:
    """Execute a statement whose result nobody needs after all other writes, just before the commit.

    Nothing in the transaction sees what it does.
    """
    session.info.setdefault(_AT_END, []).append(statement)


def after_commit(session: Session, act: Callable[[], None]) -> None:
    """Do something small once the transaction at hand is committed; not at all if it is not."""
    session.info.setdefault(_AFTER_COMMIT, []).append(act)


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """A session that commits at the end and rolls back on an error.

    Raises `Unavailable` when the database does not answer.
    """
    with _session(engine) as session:
        yield session
        if session.in_transaction():
            writes_only(session)
        session.flush()
        for statement in session.info.pop(_AT_END, ()):
            session.execute(statement)
        session.commit()
        for act in session.info.pop(_AFTER_COMMIT, ()):
            act()


@contextmanager
def one_statement(engine: Engine) -> Iterator[Session]:
    """A session for a single statement, which is a transaction of its own.

    Raises `Unavailable` when the database does not answer.
    """
    with _session(engine) as session:
        driver_connection(session.connection()).begin = None
        yield session


@contextmanager
def _session(engine: Engine) -> Iterator[Session]:
    with Session(engine, expire_on_commit=False) as session:
        try:
            yield session
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
