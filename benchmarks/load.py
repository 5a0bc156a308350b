"""`make load`: what the gateway takes with few and with many scans stored, side by side.

Two stacks, one with 1,000 scans and one with 100,000, are asked in turns, so that whatever the
machine does meanwhile meets both. The clients run on the same cores as the servers. Prints one
table and writes `build/load.json`; the last line holds the listing's cost at 100,000 against 1,000.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import httpx

from benchmarks.load_fill import fill, patient_id
from neuroscan import __version__
from neuroscan.client import Client
from neuroscan.phantoms import write_phantoms
from neuroscan.stack import Stack

STORED = (1_000, 100_000)
CLIENTS = (8, 64)
_UNLIMITED = {"REQUESTS_PER_MINUTE": "1000000000", "BACKLOG_MAX": "P1D"}


@dataclass(frozen=True)
class Target:
    """A stack with so many scans stored, and one of them."""

    stored: int
    url: str
    key: str
    scan_id: str
    etag: str
    picture: bytes


@dataclass(frozen=True)
class Row:
    """One operation's figures; latencies in ms, over all rounds."""

    operation: str
    clients: int
    stored: int
    requests: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


Call = Callable[[httpx.Client, Target, int], object]


def submit(client: httpx.Client, target: Target, _: int) -> None:
    """A new scan; canceled right away, since the pipeline's work is not what is measured here."""
    answer = client.post("/v1/scans", files={"image": ("slice", target.picture)})
    _expect(answer, HTTPStatus.ACCEPTED)
    if answer.status_code != HTTPStatus.ACCEPTED:
        return
    client.post(f"/v1/scans/{answer.json()['id']}/cancel")


def poll(client: httpx.Client, target: Target, _: int) -> None:
    """A scan that has not changed."""
    tag = {"If-None-Match": target.etag}
    _expect(client.get(f"/v1/scans/{target.scan_id}", headers=tag), HTTPStatus.NOT_MODIFIED)


def listing(client: httpx.Client, _: Target, __: int) -> None:
    """The newest fifty scans."""
    _expect(client.get("/v1/scans", params={"limit": "50"}), HTTPStatus.OK)


def history(client: httpx.Client, _: Target, number: int) -> None:
    """The newest twenty scans of a patient, with the trend."""
    path = f"/v1/patients/{patient_id(number)}/scans"
    _expect(client.get(path, params={"limit": "20"}), HTTPStatus.OK)


OPERATIONS: dict[str, Call] = {
    "poll": poll,
    "list": listing,
    "history": history,
    "submit and cancel": submit,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="turns of each operation")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn")
    parser.add_argument("--out", type=Path, default=Path("build/load.json"))
    arguments = parser.parse_args()
    with ExitStack() as stacks:
        targets = [_prepared(stacks, stored) for stored in STORED]
        rows = [
            row
            for operation, call in OPERATIONS.items()
            for clients in CLIENTS
            for row in _measured(
                operation, call, clients, targets, arguments.rounds, arguments.seconds
            )
        ]
    _write(arguments.out, rows)
    for line in _table(rows):
        print(line)


def _prepared(stacks: ExitStack, stored: int) -> Target:
    stack = stacks.enter_context(Stack(environment=_UNLIMITED))
    url = stack.wait_ready()
    folder = stack.folder.run / "phantoms"
    picture = next(file for file in write_phantoms(folder) if file.truth.lesion).path.read_bytes()
    with Client(url, stack.key) as client:
        scan = client.wait(client.submit(picture).id)
    fill(stack.state.database_url or "", scan.id, stored)
    return Target(stored, url, stack.key, scan.id, f'"{scan.version}"', picture)


def _measured(
    operation: str, call: Call, clients: int, targets: list[Target], rounds: int, seconds: float
) -> list[Row]:
    taken: dict[int, list[float]] = defaultdict(list)
    lasted_s: dict[int, float] = defaultdict(float)
    for turn in range(rounds + 1):
        for target in targets:
            began = time.perf_counter()
            times = _turn(call, clients, target, seconds)
            # The first turn warms caches and connections up.
            if turn:
                taken[target.stored] += times
                # The last calls end after the time is up.
                lasted_s[target.stored] += time.perf_counter() - began
    return [_row(operation, clients, target, taken, lasted_s[target.stored]) for target in targets]


def _row(
    operation: str, clients: int, target: Target, taken: dict[int, list[float]], seconds: float
) -> Row:
    times = taken[target.stored]
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return Row(
        operation=operation,
        clients=clients,
        stored=target.stored,
        requests=len(times),
        per_second=round(len(times) / seconds, 1),
        p50_ms=round(cuts[49], 1),
        p95_ms=round(cuts[94], 1),
        p99_ms=round(cuts[98], 1),
    )


def _turn(call: Call, clients: int, target: Target, seconds: float) -> list[float]:
    """So many clients, each with a connection of its own, call one after the other."""
    ends = time.perf_counter() + seconds

    def client(first: int) -> list[float]:
        times = []
        with httpx.Client(
            base_url=target.url,
            headers={"Authorization": f"Bearer {target.key}"},
            timeout=60,
            trust_env=False,
        ) as session:
            number = first
            while (began := time.perf_counter()) < ends:
                call(session, target, number)
                times.append((time.perf_counter() - began) * 1000)
                number += clients
        return times

    with ThreadPoolExecutor(clients) as threads:
        return [taken for times in threads.map(client, range(clients)) for taken in times]


def _expect(answer: httpx.Response, status: HTTPStatus) -> None:
    # A gateway that is overrun says so; that is an answer, and its time counts.
    if answer.status_code not in (status, HTTPStatus.SERVICE_UNAVAILABLE):
        raise RuntimeError(f"{answer.request.url.path} answered {answer.status_code}")


def _write(out: Path, rows: list[Row]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    facts = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "rows": [asdict(row) for row in rows],
    }
    out.write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _table(rows: list[Row]) -> list[str]:
    heading = (
        f"{'operation':<18} {'clients':>7} {'stored':>8} {'requests':>9} {'a second':>9}"
        f" {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8}"
    )
    lines = [heading]
    lines += [
        f"{row.operation:<18} {row.clients:>7} {row.stored:>8,} {row.requests:>9,}"
        f" {row.per_second:>9.1f} {row.p50_ms:>8.1f} {row.p95_ms:>8.1f} {row.p99_ms:>8.1f}"
        for row in rows
    ]
    for clients in CLIENTS:
        few, many = (row for row in rows if row.operation == "list" and row.clients == clients)
        lines.append(
            f"list with {clients} clients: {many.stored:,} stored cost"
            f" {many.p50_ms / few.p50_ms:.2f} times what {few.stored:,} do (p50)"
        )
    return lines


if __name__ == "__main__":
    main()
