"""The capacity model's arithmetic."""

import json
from pathlib import Path

import pytest

from benchmarks.capacity import Plan, Taken, cards, main, most, needs, read_parts, store

# A month of 2,629,800 seconds: one scan a second on average.
ONE_A_SECOND = 365.25 / 12 * 24 * 3600
PLAN = Plan(scans_a_month=ONE_A_SECOND, peak=4, busy=0.5, kept_months=12)
TAKEN = [
    Taken("reports", 300, 150),
    Taken("inference", 60, 750),
    Taken("postgres", 20, 100),
]
AMOUNTS = {
    "rows": 20.0,
    "objects' bytes": 200.0,
    "write-ahead log": 50.0,
    "transactions": 30.0,
    "broker commands": 70.0,
}


def test_the_peak_is_so_many_times_the_average() -> None:
    assert PLAN.average == pytest.approx(1)
    assert PLAN.at_peak == pytest.approx(4)


def test_what_saturates_first_comes_first() -> None:
    rows = most([TAKEN[1], TAKEN[0], TAKEN[2], Taken("idle", 0, 1)])
    assert [row.service for row in rows] == ["reports", "inference", "postgres"]
    assert rows[0].scans_a_second_a_replica == pytest.approx(1000 / 300)
    # Two cores work on the network.
    assert rows[1].scans_a_second_a_replica == pytest.approx(2 * 1000 / 60)


def test_replicas_leave_the_planned_time_free() -> None:
    reports, inference, postgres, together = needs(TAKEN, PLAN)
    # 4 a second, 0.3 s each: 1.2 cores busy, at half of their time 2.4.
    assert reports.busy_cores == pytest.approx(1.2)
    assert (reports.replicas, reports.cores) == (3, 3)
    assert reports.memory_gib == pytest.approx(3 * 150 / 1024)
    assert (inference.replicas, inference.cores) == (1, 2)
    assert (postgres.replicas, postgres.cores) == (1, 1)
    assert together.cores == 6
    assert together.busy_cores == pytest.approx(4 * 0.38)


def test_one_database_grows_by_cores() -> None:
    busy = Plan(100 * ONE_A_SECOND, peak=4, busy=0.5, kept_months=12)
    postgres = needs(TAKEN, busy)[2]
    assert (postgres.replicas, postgres.cores) == (1, 16)


def test_disk_grows_with_what_is_kept() -> None:
    found = store(AMOUNTS, PLAN)
    assert found.rows_gb_a_month == pytest.approx(52.596)
    assert found.rows_tb_kept == pytest.approx(0.631152)
    assert found.objects_tb_a_month == pytest.approx(0.52596)
    assert found.log_mb_a_second == pytest.approx(0.2)
    assert found.transactions_a_second == pytest.approx(120)
    assert found.broker_commands_a_second == pytest.approx(280)


def test_cards_follow_from_what_one_does() -> None:
    assert cards(PLAN, 4800).cards == 1
    assert cards(Plan(1e4 * ONE_A_SECOND, 4, 0.5, 12), 4800).cards == 17


def test_reads_what_the_parts_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    services = [
        {"service": one.service, "cpu_ms_a_scan": one.cpu_ms, "memory_mib": one.memory_mib}
        for one in TAKEN
    ]
    amounts = [{"what": what, "a_scan": value, "unit": ""} for what, value in AMOUNTS.items()]
    path = tmp_path / "parts.json"
    path.write_text(json.dumps({"tables": {"services": services, "amounts": amounts}}))
    assert read_parts(path) == (TAKEN, AMOUNTS)
    assert main(["--parts", str(path)]) == 0
    assert "NOT MEASURED" in capsys.readouterr().out
    assert main(["--parts", str(path), "--images-a-second", "100"]) == 0
    assert "NOT MEASURED" not in capsys.readouterr().out
