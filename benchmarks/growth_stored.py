"""Cost against stored scans: what the API takes with 1,000 to 1,000,000 of them in the database."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import httpx
import psycopg

from benchmarks.facts import Verdict
from benchmarks.load_fill import PATIENTS, fill, patient_id
from benchmarks.pipeline import UNLIMITED, completed
from benchmarks.slice_set import pictures
from neuroscan.client import Client
from neuroscan.stack import Stack

STORED = (1_000, 10_000, 100_000, 1_000_000)
SCANS_A_PATIENT = 20
# The network's and the schedulers' own noise on this scale is below this.
FLAT = 1.5
_POSTS = 15
_CALLS = 40


@dataclass(frozen=True)
class StoredCost:
    """One call, one client, with so many scans stored; medians and 95th percentiles in ms."""

    operation: str
    stored: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Bytes:
    """What the database takes with so many scans stored, and the time to store the copies."""

    stored: int
    database_mib: float
    bytes_a_scan: float
    fill_s: float


@dataclass(frozen=True)
class _Known:
    scan_id: str
    etag: str
    picture: bytes


Call = Callable[[httpx.Client, _Known, int], httpx.Response]


def _get(path: str, **query: str) -> Call:
    return lambda client, _, __: client.get(path, params=query)


def _post_scan(client: httpx.Client, known: _Known, _: int) -> httpx.Response:
    return client.post("/v1/scans", files={"image": ("slice", known.picture)})


OPERATIONS: dict[str, Call] = {
    "scan, unchanged (304)": lambda client, known, _: client.get(
        f"/v1/scans/{known.scan_id}", headers={"If-None-Match": known.etag}
    ),
    "scan": lambda client, known, _: client.get(f"/v1/scans/{known.scan_id}"),
    "events of a completed scan": lambda client, known, _: client.get(
        f"/v1/scans/{known.scan_id}/events"
    ),
    "list of 50": _get("/v1/scans", limit="50"),
    "list of 50 by label": _get("/v1/scans", limit="50", label="meningioma"),
    "list by a state that none has": _get("/v1/scans", limit="50", state="failed"),
    "list by state and label, none": _get(
        "/v1/scans", limit="50", state="completed", label="pituitary"
    ),
    "list by reference": lambda client, _, number: client.get(
        "/v1/scans", params={"reference": f"load {number % 900 + 1}"}
    ),
    "list after a moment, none": lambda client, _, __: client.get(
        "/v1/scans", params={"created_after": "2100-01-01T00:00:00Z"}
    ),
    "patient's history": lambda client, _, number: client.get(
        f"/v1/patients/{patient_id(number)}/scans", params={"limit": "20"}
    ),
    "patients": _get("/v1/patients", limit="50"),
    "patients by a number": lambda client, _, number: client.post(
        "/v1/patients/search", json={"q": f"LOAD {number % PATIENTS}"}
    ),
    "patients by a common name": lambda client, _, __: client.post(
        "/v1/patients/search", json={"q": "Person"}
    ),
    "patients by two letters": lambda client, _, __: client.post(
        "/v1/patients/search", json={"q": "on"}
    ),
    "audit": _get("/v1/audit", limit="50"),
    "audit of a scan": lambda client, known, _: client.get(
        "/v1/audit", params={"object_id": known.scan_id}
    ),
    "audit by an action that none has": _get("/v1/audit", action="exported"),
    "dead stages": _get("/v1/stages", state="dead"),
    "status": _get("/v1/status"),
    "POST of a scan": _post_scan,
}


def measure_stored(stored: Sequence[int]) -> Iterator[tuple[Bytes, list[StoredCost]]]:
    """One stack, filled further and further; each number of scans gives all operations."""
    picture = pictures()[4]
    with Stack(environment=UNLIMITED) as stack:
        url = stack.wait_ready()
        database_url = stack.state.database_url or ""
        with Client(url, stack.key) as client:
            scan = completed(client.wait(client.submit(picture).id))
        known = _Known(scan.id, f'"{scan.version}"', picture)
        with httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {stack.key}"},
            timeout=60,
            trust_env=False,
        ) as session:
            above = 0
            for count in stored:
                began = time.perf_counter()
                fill(
                    database_url,
                    scan.id,
                    count,
                    above=above,
                    patients=max(PATIENTS, count // SCANS_A_PATIENT),
                )
                lasted_s = time.perf_counter() - began
                above = count
                size = _database_bytes(database_url)
                facts = Bytes(count, size / 2**20, size / count, lasted_s)
                yield (
                    facts,
                    [
                        _measured(session, operation, call, known, count)
                        for operation, call in OPERATIONS.items()
                    ],
                )


def verdicts_of(rows: Sequence[StoredCost]) -> list[Verdict]:
    """For each operation: its median at the most stored scans over that at the fewest."""
    by_operation: dict[str, dict[int, float]] = {}
    for row in rows:
        by_operation.setdefault(row.operation, {})[row.stored] = row.p50_ms
    return [
        Verdict(
            f"{operation}: at {max(points):,} scans stored, over {min(points):,}",
            points[max(points)] / points[min(points)],
            FLAT,
            floor=False,
        )
        for operation, points in by_operation.items()
    ]


def _measured(
    session: httpx.Client, operation: str, call: Call, known: _Known, stored: int
) -> StoredCost:
    taken = []
    posts = operation.startswith("POST")
    for number in range((_POSTS if posts else _CALLS) + 2):
        began = time.perf_counter()
        answer = call(session, known, number)
        # The first two warm caches and connections up.
        if number > 1:
            taken.append((time.perf_counter() - began) * 1000)
        if answer.status_code >= HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{operation} answered {answer.status_code}")
        if posts:
            # The pipeline's further work is not what is measured here.
            session.post(f"/v1/scans/{answer.json()['id']}/cancel")
    return StoredCost(
        operation=operation,
        stored=stored,
        p50_ms=statistics.median(taken),
        p95_ms=statistics.quantiles(taken, n=20, method="inclusive")[-1],
    )


def _database_bytes(database_url: str) -> int:
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])
