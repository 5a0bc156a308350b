"""The campaign of `make chaos`, short; and the launcher itself killed in the middle of a run."""

import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from neuroscan.client import Client
from neuroscan.stack import Stack
from neuroscan.stack.ports import free_ports
from tests import pictures
from tests.chaos.campaign import Campaign, Plan
from tests.chaos.faults import broker_emptied, child_killed, frozen, killed
from tests.chaos.runs import wait_for_completed
from tests.chaos.verdict import Sent, judge

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

SLICES = 30
CLIENTS = 4


def test_a_short_campaign(stack: Stack) -> None:
    faults = [
        frozen("inference", 8),
        broker_emptied(),
        killed("postgres", signal.SIGINT),
        child_killed("explain"),
    ]
    outcome = Campaign(stack, Plan(faults, scans=SLICES, clients=CLIENTS, every_s=8), "short").run()
    assert outcome.right, "\n".join(outcome.lines())
    assert outcome.verdict.tally == "30 submitted, 30 completed, 0 duplicates, 0 lost"


def test_what_a_killed_launcher_left_is_completed_by_the_next(tmp_path: Path) -> None:
    reference = "launcher"
    sent = [Sent(number, f"{reference}-{number}") for number in range(SLICES)]
    # The clients ask on where the first was.
    (port,) = free_ports(1)
    with Stack(tmp_path / "data", port=port) as stack, ThreadPoolExecutor(CLIENTS) as threads:
        stack.wait_ready()
        with Client(stack.url, stack.key, patience_s=180) as client:
            runs = [threads.submit(_run, client, reference, scan) for scan in sent]
            wait_for_completed(client, reference, 8)
            stack.abandon()
            killed_at = datetime.now(UTC)
            stack.start()
            for run in runs:
                run.result()
        verdict = judge(stack, sent, reference, killed_at)
    assert verdict.wrongs == []
    assert verdict.tally == "30 submitted, 30 completed, 0 duplicates, 0 lost"


def _run(client: Client, reference: str, scan: Sent) -> None:
    content = pictures.png(pictures.head(seed=scan.number))
    made = client.submit(content, reference=reference, idempotency_key=scan.key)
    scan.scan_id = made.id
    scan.state = client.wait(made.id, timeout_s=240).state
