"""Scans through nginx: sent by several clients, followed by long polls and by event streams."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx

from neuroscan.client import Client
from neuroscan.contracts.enums import ScanState
from neuroscan.contracts.scan import ScanView
from tests import pictures

PATIENCE_S = 120.0
_CLIENTS = 6
_FOLLOWED_BY_EVENTS = 10


def send(client: Client, number: int, reference: str, patient_id: str | None = None) -> str:
    """Submit a slice that no other number has; returns the scan's id."""
    content = pictures.png(pictures.head(seed=number))
    scan = client.submit(
        content,
        reference=reference,
        patient_id=patient_id,
        idempotency_key=f"{reference}-{number}",
    )
    return scan.id


def send_many(
    url: str, key: str, count: int, reference: str, in_the_middle: Callable[[], None]
) -> list[ScanView]:
    """Send `count` scans and wait for them; a third of the way something happens."""
    taken = threading.Semaphore(0)

    def one(number: int) -> ScanView:
        with Client(url, key, patience_s=PATIENCE_S) as client:
            scan_id = send(client, number, reference)
            taken.release()
            if number < _FOLLOWED_BY_EVENTS:
                follow_events(url, key, scan_id)
            return client.wait(scan_id, timeout_s=240)

    def trouble() -> None:
        for _ in range(count // 3):
            taken.acquire(timeout=PATIENCE_S)
        in_the_middle()

    with ThreadPoolExecutor(_CLIENTS + 1) as threads:
        fault = threads.submit(trouble)
        scans = list(threads.map(one, range(count)))
        fault.result()
    return scans


def follow_events(url: str, key: str, scan_id: str, limit_s: float = 240.0) -> None:
    """Read a scan's events to their end, on as many connections as it takes."""
    ends = time.monotonic() + limit_s
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as http:
        while time.monotonic() < ends:
            try:
                with http.stream("GET", f"/v1/scans/{scan_id}/events") as response:
                    for line in response.iter_lines():
                        if line.startswith("event: end"):
                            return
                        if line.startswith("id: "):
                            http.headers["Last-Event-ID"] = line.removeprefix("id: ")
                    # 204: it had ended before.
                    if response.status_code == httpx.codes.NO_CONTENT:
                        return
            except httpx.TransportError:
                pass
            time.sleep(0.2)
    raise AssertionError(f"the events of scan {scan_id} did not end")


@dataclass
class Load:
    """Clients that submit, read and wait all the while; what they could not get done."""

    url: str
    key: str
    reference: str
    requests: int = 0
    errors: list[str] = field(default_factory=list)
    scan_ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(3)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self, lane: int) -> None:
        number = lane * 1000
        with Client(self.url, self.key, patience_s=PATIENCE_S) as client:
            while not self._over.is_set():
                try:
                    scan_id = send(client, number, self.reference)
                    client.scans(limit=5)
                    client.scan(scan_id)
                # Whatever it is, the report names it.
                except Exception as error:  # noqa: BLE001
                    with self._lock:
                        self.errors.append(f"{type(error).__name__}: {error}")
                    continue
                with self._lock:
                    self.requests += 3
                    self.scan_ids.append(scan_id)
                number += 1
                self._over.wait(1.0)


def not_completed(scans: list[ScanView]) -> list[str]:
    """Ids of scans that ended otherwise, with their state."""
    return [f"{scan.id} {scan.state}" for scan in scans if scan.state is not ScanState.COMPLETED]
