"""Scans from several clients through a stack that suffers a fault every few seconds.

Submissions are spread over the time of the faults. Afterwards the ledger is asked whether each
scan is there once, complete, in its first attempts.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from queue import Queue

import httpx

from neuroscan.client import Client, ClientError
from neuroscan.contracts.access import KeyCreate
from neuroscan.contracts.enums import Role, ScanState
from neuroscan.stack import Stack, StackError
from neuroscan.stack.health import is_complete, parse_readiness
from tests import pictures
from tests.chaos.faults import Fault, Recovered
from tests.chaos.verdict import CALM_LIMIT, Sent, Verdict, judge

_PATIENCE_S = 120.0
_GRACE_S = 30.0
_SENT_AGAIN_EVERY = 10


@dataclass(frozen=True)
class Plan:
    """How many scans, from how many clients, and what happens every so many seconds."""

    faults: Sequence[Fault]
    scans: int = 200
    clients: int = 8
    every_s: float = 15.0

    @property
    def submitting_s(self) -> float:
        """Submissions go on a little beyond the last fault."""
        return self.every_s * (len(self.faults) + 0.3)


@dataclass
class Suffered:
    """A fault as it went; times in seconds since the run began."""

    name: str
    began_s: float
    ended_s: float = 0.0
    back_s: float | None = None
    submitted: int = 0
    completed: int = 0
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    verdict: Verdict
    faults: list[Suffered]
    took_s: float

    def lines(self) -> Iterator[str]:
        """The table of faults, what is wrong, and the tally."""
        yield f"{'at':>6}  {'fault':<32} {'lasted':>8} {'back after':>11} {'sent':>5} {'done':>5}"
        for each in self.faults:
            lasted = f"{each.ended_s - each.began_s:.1f} s"
            back = "not seen" if each.back_s is None else f"{each.back_s:.1f} s"
            yield (
                f"{each.began_s:>4.0f} s  {each.name:<32} {lasted:>8} {back:>11}"
                f" {each.submitted:>5} {each.completed:>5}  {each.error}".rstrip()
            )
        yield (
            f"{self.took_s:.0f} s in all; the last scan was completed "
            f"{self.verdict.last_after_fault_s:.0f} s after the last fault"
        )
        yield from self.verdict.wrongs
        yield self.verdict.tally

    @property
    def right(self) -> bool:
        """Whether everything came through."""
        verdict = self.verdict
        counts_right = verdict.lost == verdict.duplicates == 0
        return counts_right and not verdict.wrongs and not any(each.error for each in self.faults)


class Campaign:
    """One run of a plan on a stack that is ready."""

    def __init__(self, stack: Stack, plan: Plan, reference: str) -> None:
        self._stack = stack
        self._plan = plan
        self._reference = reference
        self._url = stack.url
        self._sent = [Sent(number, f"{reference}-{number}") for number in range(plan.scans)]
        self._suffered: list[Suffered] = []
        self._over = threading.Event()
        self._began = 0.0

    def run(self) -> Outcome:
        """Submit, make trouble, wait for every scan, and ask the ledger."""
        keys = self._make_keys()
        self._began = time.monotonic()
        began_at = datetime.now(UTC)
        with ThreadPoolExecutor(2 * self._plan.clients + len(self._plan.faults) + 1) as threads:
            mischief = threads.submit(self._make_trouble, threads)
            clients = []
            for first, key in enumerate(keys):
                mine = self._sent[first :: self._plan.clients]
                sent: Queue[Sent | None] = Queue()
                clients += [
                    threads.submit(self._send, key, mine, sent),
                    threads.submit(self._follow, key, sent),
                ]
            for client in clients:
                client.result()
            wait(mischief.result(), _GRACE_S)
            self._over.set()
        last_fault_s = max(each.ended_s for each in self._suffered)
        last_fault_at = began_at + timedelta(seconds=last_fault_s)
        verdict = judge(self._stack, self._sent, self._reference, last_fault_at)
        return Outcome(verdict, self._suffered, self._elapsed_s())

    def _make_keys(self) -> list[str]:
        """A key for each client, so that none sees another's scans."""
        with Client(self._url, self._stack.key) as admin:
            return [
                admin.create_key(KeyCreate(name=f"chaos {number}", role=Role.SUBMITTER)).key
                for number in range(self._plan.clients)
            ]

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def _until(self, moment_s: float) -> None:
        time.sleep(max(0.0, moment_s - self._elapsed_s()))

    def _send(self, key: str, scans: list[Sent], sent: Queue[Sent | None]) -> None:
        with Client(self._url, key, patience_s=_PATIENCE_S) as client:
            for scan in scans:
                self._until(self._plan.submitting_s * scan.number / self._plan.scans)
                try:
                    scan.scan_id = self._submit(client, scan)
                    sent.put(scan)
                except ClientError as error:
                    scan.error = f"not taken: {error}"
            sent.put(None)

    def _submit(self, client: Client, scan: Sent) -> str:
        content = pictures.png(pictures.head(seed=scan.number))
        return client.submit(content, reference=self._reference, idempotency_key=scan.key).id

    def _follow(self, key: str, sent: Queue[Sent | None]) -> None:
        ends_s = self._plan.every_s * (len(self._plan.faults) + 1) + _GRACE_S
        ends_s += CALM_LIMIT.total_seconds()
        with Client(self._url, key, patience_s=_PATIENCE_S) as client:
            while (scan := sent.get()) is not None:
                assert scan.scan_id is not None
                try:
                    left_s = max(1.0, ends_s - self._elapsed_s())
                    scan.state = client.wait(scan.scan_id, timeout_s=left_s).state
                    if scan.number % _SENT_AGAIN_EVERY == 0:
                        scan.again_id = self._submit(client, scan)
                except ClientError as error:
                    scan.error = str(error)

    def _make_trouble(self, threads: ThreadPoolExecutor) -> list[Future[None]]:
        runs = []
        for number, fault in enumerate(self._plan.faults, start=1):
            self._until(self._plan.every_s * number)
            suffered = Suffered(fault.name, began_s=self._elapsed_s())
            suffered.submitted = sum(scan.scan_id is not None for scan in self._sent)
            self._suffered.append(suffered)
            runs.append(threads.submit(self._suffer, fault, suffered))
        return runs

    def _suffer(self, fault: Fault, suffered: Suffered) -> None:
        try:
            recovered = fault.make(self._stack)
        except (StackError, OSError, AssertionError) as error:
            suffered.error = f"not made: {error}"
            suffered.ended_s = self._elapsed_s()
            return
        suffered.ended_s = self._elapsed_s()
        while not self._ready(recovered):
            if self._over.wait(0.2):
                return
        suffered.back_s = self._elapsed_s() - suffered.ended_s
        suffered.completed = sum(scan.state is ScanState.COMPLETED for scan in self._sent)

    def _ready(self, recovered: Recovered) -> bool:
        try:
            if not recovered():
                return False
            answer = httpx.get(f"{self._url}/health/ready", timeout=10, trust_env=False)
        except (httpx.TransportError, StackError):
            return False
        readiness = parse_readiness(answer)
        return readiness is not None and is_complete(readiness)
