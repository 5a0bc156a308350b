"""A run of slices through a stack that is treated badly, and what must hold afterwards."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg

from neuroscan.client import Client
from neuroscan.contracts.enums import ScanState
from neuroscan.contracts.scan import ScanView
from neuroscan.stack import Stack
from tests import pictures

SLICES = 30
CLIENTS = 4
TROUBLE_AFTER = 8


def check_run(stack: Stack, reference: str, trouble: Callable[[], object]) -> None:
    """Send thirty slices and make trouble: each completes, once, in its first attempts."""
    stack.wait_ready()
    with (
        Client(stack.url, stack.key, patience_s=120) as client,
        ThreadPoolExecutor(CLIENTS) as threads,
    ):
        runs = [threads.submit(run, client, reference, seed) for seed in range(SLICES)]
        wait_for_completed(client, reference, TROUBLE_AFTER)
        trouble()
        scans = [run.result() for run in runs]
    assert {scan.state for scan in scans} == {ScanState.COMPLETED}
    assert len({scan.id for scan in scans}) == SLICES
    check_rows(stack, reference)


def run(client: Client, reference: str, seed: int) -> ScanView:
    """Send one slice and wait until it is over."""
    content = pictures.png(pictures.head(seed=seed))
    scan = client.submit(content, reference=reference, idempotency_key=f"{reference}-{seed}")
    return client.wait(scan.id, timeout_s=240)


def wait_for_completed(client: Client, reference: str, count: int) -> None:
    """Return in the middle of the run."""
    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        page = client.scans(reference=reference, state=ScanState.COMPLETED, limit=200)
        if len(page.items) >= count:
            return
        time.sleep(0.1)
    raise AssertionError("the run does not get going")


def check_rows(stack: Stack, reference: str) -> None:
    """One row a scan, four stages each, one committed result a stage, in its first attempt."""
    url = (stack.state.database_url or "").replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        scans = connection.execute(
            "SELECT count(*), count(DISTINCT id) FROM scan WHERE reference = %s", (reference,)
        ).fetchone()
        stages = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE stage.state = 'done' AND output IS NOT NULL)"
            " FROM stage JOIN scan ON scan.id = scan_id WHERE reference = %s",
            (reference,),
        ).fetchone()
        done_events = connection.execute(
            "SELECT max(n) FROM (SELECT count(*) AS n FROM scan_event"
            " JOIN scan ON scan.id = scan_id WHERE reference = %s AND stage_state = 'done'"
            " GROUP BY scan_id, stage) AS per_stage",
            (reference,),
        ).fetchone()
        spent = connection.execute(
            "SELECT stage.name, attempt, stage.problem FROM stage JOIN scan ON scan.id = scan_id"
            " WHERE reference = %s AND attempt > 1",
            (reference,),
        ).fetchall()
    assert scans == (SLICES, SLICES)
    assert stages == (4 * SLICES, 4 * SLICES)
    assert spent == []
    assert done_events == (1,)
