"""`python -m benchmarks.capacity`: from what one scan takes to replicas, cores, memory and disk.

Reads `build/bench/parts.json` (`benchmarks.parts`) or any file of that form, so that anyone can put
in figures of their own. Rates are those of the peak; nothing is planned to be busier than
`--busy` of the time. GPUs are a formula: what one card does in a second is an argument, since none
was measured here.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from benchmarks.facts import OUT, table

_MONTH_S = 365.25 / 12 * 24 * 3600
# Parts of which there is one, which grows by cores; of all others there are replicas.
SINGLE = ("postgres", "valkey")
# How many cores one replica can keep busy: the network's threads, else one worker process or one
# Python interpreter.
_REPLICA_CORES = {"inference": 2}
# Assumed of an H100: the bare network's images a second, and what is left end to end.
ASSUMED_BARE, ASSUMED_SHARE = 6000.0, 0.8


@dataclass(frozen=True)
class Taken:
    """What one scan takes of a service, and a replica's memory."""

    service: str
    cpu_ms: float
    memory_mib: float


@dataclass(frozen=True)
class Plan:
    """What the load is, and how full things may be; `busy` is a share of one."""

    scans_a_month: float
    peak: float
    busy: float
    kept_months: float

    @property
    def average(self) -> float:
        """Scans a second over the month."""
        return self.scans_a_month / _MONTH_S

    @property
    def at_peak(self) -> float:
        """Scans a second when most come."""
        return self.average * self.peak


@dataclass(frozen=True)
class Most:
    """What one replica of a service can do at most, and what saturates first."""

    service: str
    cpu_ms_a_scan: float
    cores_a_replica: int
    scans_a_second_a_replica: float
    memory_mib: float


@dataclass(frozen=True)
class Need:
    """What a service needs at the peak; cores are those that replicas may keep busy."""

    service: str
    scans_a_month: int
    peak_per_second: float
    busy_cores: float
    replicas: int
    cores: int
    memory_gib: float


@dataclass(frozen=True)
class Store:
    """What is written in a month and what lies there when the oldest goes; bytes as 10 ** n."""

    scans_a_month: int
    rows_gb_a_month: float
    rows_tb_kept: float
    objects_tb_a_month: float
    objects_tb_kept: float
    log_mb_a_second: float
    transactions_a_second: float
    broker_commands_a_second: float


@dataclass(frozen=True)
class Cards:
    """GPUs for classification alone, where one card does so many images a second."""

    scans_a_month: int
    peak_per_second: float
    images_a_second_a_card: float
    cards: int


def most(taken: Sequence[Taken]) -> list[Most]:
    """One replica's limit, the lowest first."""
    rows = [
        Most(
            service=one.service,
            cpu_ms_a_scan=one.cpu_ms,
            cores_a_replica=_replica_cores(one.service),
            scans_a_second_a_replica=_replica_cores(one.service) * 1000 / one.cpu_ms,
            memory_mib=one.memory_mib,
        )
        for one in taken
        if one.cpu_ms > 0
    ]
    return sorted(rows, key=lambda row: row.scans_a_second_a_replica)


def needs(taken: Sequence[Taken], plan: Plan) -> list[Need]:
    """Replicas, cores and memory of each service, and all together."""
    rows = []
    for one in taken:
        busy_cores = plan.at_peak * one.cpu_ms / 1000
        wanted = busy_cores / plan.busy
        cores_each = _replica_cores(one.service)
        single = one.service in SINGLE
        replicas = 1 if single else max(1, ceil(wanted / cores_each))
        rows.append(
            Need(
                service=one.service,
                scans_a_month=round(plan.scans_a_month),
                peak_per_second=plan.at_peak,
                busy_cores=busy_cores,
                replicas=replicas,
                cores=max(1, ceil(wanted)) if single else replicas * cores_each,
                memory_gib=replicas * one.memory_mib / 1024,
            )
        )
    total = Need(
        service="all",
        scans_a_month=round(plan.scans_a_month),
        peak_per_second=plan.at_peak,
        busy_cores=sum(row.busy_cores for row in rows),
        replicas=sum(row.replicas for row in rows),
        cores=sum(row.cores for row in rows),
        memory_gib=sum(row.memory_gib for row in rows),
    )
    return [*rows, total]


def store(amounts: Mapping[str, float], plan: Plan) -> Store:
    """Disk and rates; `amounts` by name as `benchmarks.parts` writes them, bytes in kB."""
    rows_bytes = amounts["rows"] * 1e3 * plan.scans_a_month
    objects_bytes = amounts["objects' bytes"] * 1e3 * plan.scans_a_month
    return Store(
        scans_a_month=round(plan.scans_a_month),
        rows_gb_a_month=rows_bytes / 1e9,
        rows_tb_kept=rows_bytes * plan.kept_months / 1e12,
        objects_tb_a_month=objects_bytes / 1e12,
        objects_tb_kept=objects_bytes * plan.kept_months / 1e12,
        log_mb_a_second=amounts["write-ahead log"] * 1e3 * plan.at_peak / 1e6,
        transactions_a_second=amounts["transactions"] * plan.at_peak,
        broker_commands_a_second=amounts["broker commands"] * plan.at_peak,
    )


def cards(plan: Plan, images_a_second: float) -> Cards:
    """At least one card; the same share of its time is planned as of any other part's."""
    return Cards(
        scans_a_month=round(plan.scans_a_month),
        peak_per_second=plan.at_peak,
        images_a_second_a_card=images_a_second,
        cards=max(1, ceil(plan.at_peak / (images_a_second * plan.busy))),
    )


def read_parts(path: Path) -> tuple[list[Taken], dict[str, float]]:
    """What a scan takes, and the amounts by name, from a file that `benchmarks.parts` wrote."""
    tables = json.loads(path.read_text(encoding="utf-8"))["tables"]
    taken = [
        Taken(row["service"], row["cpu_ms_a_scan"], row["memory_mib"]) for row in tables["services"]
    ]
    return taken, {row["what"]: row["a_scan"] for row in tables["amounts"]}


def main(words: list[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--parts", type=Path, default=OUT / "parts.json")
    parser.add_argument("--scans-a-month", type=float, nargs="+", default=[1e6, 1e7, 1e8])
    parser.add_argument("--peak", type=float, default=4.0, help="the peak's rate over the average")
    parser.add_argument("--busy", type=float, default=0.6, help="planned share of a core's time")
    parser.add_argument("--kept-months", type=float, default=12.0, help="how long scans are kept")
    parser.add_argument(
        "--images-a-second", type=float, help="one card, measured by you; else an assumed 4,800"
    )
    arguments = parser.parse_args(words)
    taken, amounts = read_parts(arguments.parts)
    print(*table(most(taken)), sep="\n")
    plans = [
        Plan(scans, arguments.peak, arguments.busy, arguments.kept_months)
        for scans in arguments.scans_a_month
    ]
    for plan in plans:
        print("", *table(needs(taken, plan)), sep="\n")
    print("", *table([store(amounts, plan) for plan in plans]), sep="\n")
    given = arguments.images_a_second
    a_card = given or ASSUMED_BARE * ASSUMED_SHARE
    print(f"\nOne card does {a_card:,.0f} images a second: {'given' if given else 'NOT MEASURED'}.")
    print(*table([cards(plan, a_card) for plan in plans]), sep="\n")
    return 0


def _replica_cores(service: str) -> int:
    return _REPLICA_CORES.get(service, 1)


if __name__ == "__main__":
    raise SystemExit(main())
