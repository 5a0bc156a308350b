"""The connection to Postgres, which waits for an answer as seldom as it can.

A transaction's `BEGIN` goes out together with its first statement, and what it writes at the end
together with its `COMMIT`: psycopg's pipeline, which waits for all answers at once. A connection is
looked at before it is used without asking the server: one that was closed has something to read.
"""

import contextlib
import select
from typing import Any, Self

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from sqlalchemy import Engine, event
from sqlalchemy.exc import InvalidatePoolError

BEGIN = "BEGIN"
# All queries of the transaction see one moment.
BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ"


class LedgerConnection(psycopg.Connection[tuple[Any, ...]]):
    """In autocommit as far as psycopg knows; transactions are begun here.

    `begin` opens the transaction before the next statement; None: the statement stands alone.
    """

    begin: str | None = None
    _writing: contextlib.ExitStack | None = None

    def send_together(self) -> None:
        """From here to the end of the transaction nothing is read: send it in one go."""
        if self._writing is None:
            self._writing = contextlib.ExitStack()
            self._writing.enter_context(self.pipeline())

    def commit(self) -> None:
        """Commit; raises what the first of the statements sent together came to."""
        if self._writing is None:
            super().commit()
            return
        try:
            if self.pgconn.transaction_status != TransactionStatus.IDLE:
                psycopg.Cursor(self).execute("COMMIT")
            self._end_writing()
        except psycopg.Error:
            # A commit that fails ends its transaction: SQLAlchemy rolls nothing back afterwards.
            with contextlib.suppress(psycopg.Error):
                self.rollback()
            raise

    def rollback(self) -> None:
        """Roll back, whatever became of what was sent together."""
        with contextlib.suppress(psycopg.Error):
            self._end_writing()
        super().rollback()

    def _end_writing(self) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.close()

    def seems_closed(self) -> bool:
        """Whether there is something to read or the socket is gone: an idle server is silent."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))


class LedgerCursor(psycopg.Cursor[tuple[Any, ...]]):
    """Sends a transaction's beginning with its first statement."""

    def execute(self, *arguments: Any, **options: Any) -> Self:
        """As psycopg's."""
        connection = self.connection
        assert isinstance(connection, LedgerConnection)
        begin, connection.begin = connection.begin, None
        if begin is None:
            return super().execute(*arguments, **options)
        if connection.pgconn.pipeline_status != PipelineStatus.OFF:
            psycopg.Cursor(connection).execute(begin)
            return super().execute(*arguments, **options)
        with connection.pipeline():
            psycopg.Cursor(connection).execute(begin)
            super().execute(*arguments, **options)
        return self

    def executemany(self, *arguments: Any, **options: Any) -> None:
        """As psycopg's."""
        connection = self.connection
        assert isinstance(connection, LedgerConnection)
        begin, connection.begin = connection.begin, None
        if begin is not None:
            psycopg.Cursor(connection).execute(begin)
        super().executemany(*arguments, **options)


def driver_connection(connection: Any) -> LedgerConnection:
    """The driver's connection below SQLAlchemy's."""
    found = connection.connection.driver_connection
    assert isinstance(found, LedgerConnection)
    return found


def install(engine: Engine) -> None:
    """Make an engine, which must be one in autocommit, use such connections."""

    def connect(_dialect: Any, _record: Any, words: Any, options: dict[str, Any]) -> Any:
        return LedgerConnection.connect(
            *words, autocommit=True, cursor_factory=LedgerCursor, **options
        )

    def begin(connection: Any) -> None:
        driver_connection(connection).begin = BEGIN

    def check_out(found: Any, _record: Any, _proxy: Any) -> None:
        found.begin = None
        if found.seems_closed():
            raise InvalidatePoolError

    event.listen(engine, "do_connect", connect)
    event.listen(engine, "begin", begin)
    event.listen(engine, "checkout", check_out)
    # What is sent together is answered only at the end, so that nobody can count rows before.
    engine.dialect.supports_sane_rowcount = False
