"""`python -m benchmarks.parts`: what one scan takes of each part, for the capacity model.

Scans are sent to a stack of its own as fast as it takes them. Processor time is each service's with
its children, user and system, so that other programs on the machine don't matter; waiting is not in
it. `benchmarks.capacity` reads `parts.json`.
"""

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from redis import Redis

from benchmarks.facts import table, write
from benchmarks.footprint import below, memory_of, parents_of
from benchmarks.pipeline import UNLIMITED, completed
from benchmarks.slice_set import pictures
from neuroscan.client import Client
from neuroscan.settings import BrokerSettings
from neuroscan.stack import Stack

_TICKS = os.sysconf("SC_CLK_TCK")
_SENDERS = 8
_LIMIT_S = 600.0


@dataclass(frozen=True)
class Service:
    """What a scan takes of a service; `idle_ms_a_second` is what it takes without any scan."""

    service: str
    cpu_ms_a_scan: float
    idle_ms_a_second: float
    memory_mib: float


@dataclass(frozen=True)
class Amount:
    """So much of something for one scan."""

    what: str
    a_scan: float
    unit: str


@dataclass(frozen=True)
class _Seen:
    """Counts at one moment; processor time in seconds by service."""

    at: float
    cpu_s: dict[str, float]
    rows_bytes: int
    rows_by_table: dict[str, int]
    transactions: int
    wal_bytes: int
    commands: int
    objects: int
    objects_bytes: int


def main(words: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts", description=__doc__)
    parser.add_argument("--scans", type=int, default=200)
    parser.add_argument("--idle", type=float, default=10.0, help="seconds without any scan")
    arguments = parser.parse_args(words)
    contents = pictures()
    with Stack(environment=UNLIMITED) as stack:
        url = stack.wait_ready()
        with Client(url, stack.key, patience_s=_LIMIT_S) as client:
            # What is loaded late is not the first scans' cost.
            _through(client, contents, len(contents))
            quiet = _seen(stack)
            time.sleep(arguments.idle)
            before = _seen(stack)
            _through(client, contents, arguments.scans)
            after = _seen(stack)
            memory = memory_of(stack)
    services = list(_services(quiet, before, after, memory, arguments.scans))
    amounts = _amounts(before, after, arguments.scans)
    lasted_s = after.at - before.at
    amounts.append(Amount("scans a second on this machine", arguments.scans / lasted_s, "1/s"))
    amounts.append(Amount("upload", sum(map(len, contents)) / len(contents) / 1000, "kB"))
    for rows in (services, amounts):
        print("", *table(rows), sep="\n")
    write("parts", {"services": services, "amounts": amounts}, [], vars(arguments))
    return 0


def _through(client: Client, contents: list[bytes], count: int) -> None:
    with ThreadPoolExecutor(_SENDERS) as senders:
        sent = list(
            senders.map(lambda place: client.submit(contents[place % len(contents)]), range(count))
        )
    for scan in sent:
        completed(client.wait(scan.id, _LIMIT_S))


def _services(
    quiet: _Seen, before: _Seen, after: _Seen, memory: dict[str, float], scans: int
) -> Iterator[Service]:
    rested_s, worked_s = before.at - quiet.at, after.at - before.at
    for name, cpu_s in after.cpu_s.items():
        idle = (before.cpu_s[name] - quiet.cpu_s[name]) / rested_s
        used_s = cpu_s - before.cpu_s[name] - idle * worked_s
        yield Service(name, max(0.0, used_s) * 1000 / scans, idle * 1000, memory[name])


def _amounts(before: _Seen, after: _Seen, scans: int) -> list[Amount]:
    tables = [
        Amount(f"rows in {name}", (size - before.rows_by_table.get(name, 0)) / scans / 1000, "kB")
        for name, size in sorted(after.rows_by_table.items(), key=lambda item: -item[1])
        if size > before.rows_by_table.get(name, 0)
    ]
    return [
        Amount("rows", (after.rows_bytes - before.rows_bytes) / scans / 1000, "kB"),
        *tables,
        Amount("write-ahead log", (after.wal_bytes - before.wal_bytes) / scans / 1000, "kB"),
        Amount("transactions", (after.transactions - before.transactions) / scans, ""),
        Amount("broker commands", (after.commands - before.commands) / scans, ""),
        Amount("objects", (after.objects - before.objects) / scans, ""),
        Amount("objects' bytes", (after.objects_bytes - before.objects_bytes) / scans / 1000, "kB"),
    ]


def _seen(stack: Stack) -> _Seen:
    state = stack.state
    by_table, transactions, wal_bytes = _database(state.database_url or "")
    folder = Path(unquote(urlsplit(state.object_store_url or "").path))
    sizes = [file.stat().st_size for file in (folder / "scans").rglob("*") if file.is_file()]
    with Redis.from_url(BrokerSettings(broker_url=state.broker_url).client_url) as broker:
        commands = int(broker.info("stats")["total_commands_processed"])
    parents = parents_of()
    return _Seen(
        at=time.monotonic(),
        cpu_s={
            name: sum(_cpu_s(pid) for pid in (service.pid, *below(service.pid, parents)))
            for name, service in state.services.items()
            if service.pid is not None
        },
        rows_bytes=sum(by_table.values()),
        rows_by_table=by_table,
        transactions=transactions,
        wal_bytes=wal_bytes,
        commands=commands,
        objects=len(sizes),
        objects_bytes=sum(sizes),
    )


def _database(url: str) -> tuple[dict[str, int], int, int]:
    """Bytes by table with its indexes, transactions so far, bytes of the log so far."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        by_table = connection.execute(
            "SELECT regexp_replace(relname, '_y.*', ''), sum(pg_total_relation_size(relid))"
            " FROM pg_stat_user_tables GROUP BY 1"
        ).fetchall()
        counts = connection.execute(
            "SELECT xact_commit, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') FROM pg_stat_database"
            " WHERE datname = current_database()"
        ).fetchone()
    assert counts is not None
    return {name: int(size) for name, size in by_table}, int(counts[0]), int(counts[1])


def _cpu_s(pid: int) -> float:
    """User and system time of a process and of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS


if __name__ == "__main__":
    raise SystemExit(main())
