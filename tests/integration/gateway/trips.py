"""Counts the times that somebody waits for Postgres, on the wire itself.

libpq writes down every message of its connections. Each time that the server says it is ready for
more, somebody has waited for it.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from psycopg.pq import Trace
from sqlalchemy import Engine, event

_READY = "ReadyForQuery"


@dataclass
class Trips:
    """What an operation cost, once it is over."""

    count: int = 0
    transactions: int = 0
    statements: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        shown = "\n".join(f"  {statement}" for statement in self.statements)
        return f"{self.count} trips, {self.transactions} transactions; the statements:\n{shown}"


@contextmanager
def counted(engine: Engine) -> Iterator[Trips]:
    """Count what is done on an engine's connections meanwhile, by whatever thread."""
    trips = Trips()
    traces: dict[Any, IO[bytes]] = {}

    with ExitStack() as files:

        def begin(connection: Any, *_: Any) -> None:
            if connection not in traces:
                traces[connection] = files.enter_context(tempfile.TemporaryFile())
                # One that is sent again and again is otherwise prepared at some time, once.
                connection.prepare_threshold = None
                connection.pgconn.trace(traces[connection].fileno())
                connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS)

        def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            trips.statements.append(" ".join(statement.split())[:150])

        event.listen(engine, "checkout", begin, insert=True)
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield trips
        finally:
            event.remove(engine, "checkout", begin)
            event.remove(engine, "before_cursor_execute", note)
            for connection in traces:
                connection.pgconn.untrace()
        for trace in traces.values():
            trace.seek(0)
            lines = trace.read().decode(errors="replace").splitlines()
            trips.count += sum(f"\t{_READY}" in line for line in lines)
            trips.transactions += sum('CommandComplete\t "COMMIT"' in line for line in lines)
