"""What came of a campaign: the ledger is asked, not the clients alone."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg

from neuroscan.client import Client
from neuroscan.contracts.enums import ScanState
from neuroscan.stack import Stack

# What may pass between the last fault and the last completed scan.
CALM_LIMIT = timedelta(minutes=2)
_STAGES = 4


@dataclass
class Sent:
    """One submission: the id it was given, the id its repetition was given, how it ended."""

    number: int
    key: str
    scan_id: str | None = None
    again_id: str | None = None
    state: ScanState | None = None
    error: str = ""


@dataclass
class Verdict:
    """Counts, and what is wrong in sentences; none when all is as it should be."""

    submitted: int
    completed: int
    duplicates: int
    lost: int
    last_after_fault_s: float
    wrongs: list[str] = field(default_factory=list)

    @property
    def tally(self) -> str:
        """The last line of a campaign."""
        return (
            f"{self.submitted} submitted, {self.completed} completed, "
            f"{self.duplicates} duplicates, {self.lost} lost"
        )


def judge(stack: Stack, sent: Sequence[Sent], reference: str, last_fault_at: datetime) -> Verdict:
    """Compare what the clients were told with what the ledger and the store hold."""
    url = (stack.state.database_url or "").replace("+psycopg", "")
    with psycopg.connect(url) as ledger:
        rows = ledger.execute(
            "SELECT CAST(id AS text), state FROM scan WHERE reference = %s", (reference,)
        ).fetchall()
        latest = _latest(ledger, reference) or last_fault_at
        wrongs = [*_stage_wrongs(ledger, reference), *_event_wrongs(ledger, reference)]
    states: dict[str, str] = dict(rows)
    given = [each.scan_id for each in sent if each.scan_id is not None]
    completed = {scan_id for scan_id, state in states.items() if state == ScanState.COMPLETED}
    duplicates = len(states) - len(set(given) & set(states))
    duplicates += sum(each.again_id not in (None, each.scan_id) for each in sent)
    late_s = (latest - last_fault_at).total_seconds()
    if late_s > CALM_LIMIT.total_seconds():
        wrongs.append(f"The last scan was completed {late_s:.0f} s after the last fault.")
    wrongs += [f"Scan {each.number}: {each.error}" for each in sent if each.error]
    wrongs += _report_wrongs(stack, sorted(completed))
    return Verdict(
        submitted=len(given),
        completed=len(completed & set(given)),
        duplicates=duplicates,
        lost=len(sent) - len(completed & set(given)),
        last_after_fault_s=late_s,
        wrongs=wrongs,
    )


def _latest(ledger: psycopg.Connection, reference: str) -> datetime | None:
    row = ledger.execute(
        "SELECT max(finished_at) FROM stage JOIN scan ON scan.id = scan_id WHERE reference = %s",
        (reference,),
    ).fetchone()
    return row[0] if row else None


def _stage_wrongs(ledger: psycopg.Connection, reference: str) -> list[str]:
    """Stages that are stuck, that are missing, or that spent an attempt on what was no fault."""
    rows = ledger.execute(
        "SELECT CAST(scan.id AS text), name, stage.state, attempt, output IS NOT NULL,"
        " stage.problem ->> 'code' FROM scan LEFT JOIN stage ON scan.id = scan_id AND track = ''"
        " WHERE reference = %s",
        (reference,),
    ).fetchall()
    wrongs = []
    for scan_id, name, state, attempt, has_output, problem in rows:
        if state != "done" or not has_output:
            wrongs.append(f"{scan_id}: {name} is stuck ({state}, {problem or 'no problem'}).")
        if attempt != 1:
            wrongs.append(f"{scan_id}: {name} spent {attempt - 1} attempts ({problem}).")
    counts = Counter(scan_id for scan_id, *_ in rows)
    wrongs += [f"{each}: {count} stages" for each, count in counts.items() if count != _STAGES]
    return wrongs


def _event_wrongs(ledger: psycopg.Connection, reference: str) -> list[str]:
    """Stages whose result was committed more than once."""
    rows = ledger.execute(
        "SELECT CAST(scan_id AS text), stage, count(*) FROM scan_event"
        " JOIN scan ON scan.id = scan_id WHERE reference = %s AND stage_state = 'done'"
        " GROUP BY scan_id, stage HAVING count(*) > 1",
        (reference,),
    ).fetchall()
    return [f"{scan_id}: {stage} was done {count} times." for scan_id, stage, count in rows]


def _report_wrongs(stack: Stack, scan_ids: list[str]) -> list[str]:
    """Completed scans whose report can't be read as it was made."""
    wrongs = []
    with Client(stack.url, stack.key) as client:
        for scan_id in scan_ids:
            report = client.scan(scan_id).report
            content = client.artefact(scan_id, "report.pdf")
            if report is None or hashlib.sha256(content).hexdigest() != report.sha256:
                wrongs.append(f"{scan_id}: the report is not the one that was made.")
    return wrongs
