"""The whole stack on this machine: real servers, real services, real signals."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuroscan.client import Client
from neuroscan.contracts.enums import DisplayConvention, ScanState
from neuroscan.contracts.scan import ScanView
from neuroscan.phantoms import write_phantoms
from neuroscan.stack import Stack, StackError, find_running
from neuroscan.stack.leftovers import find_leftovers

READY_LIMIT_S = 120
SERVICES = {"postgres", "valkey", "inference", "explain", "spatial", "reports"} | {
    "recorder",
    "gateway",
}


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = write_phantoms(tmp_path_factory.mktemp("phantoms"))
    return next(file.path for file in files if file.truth.lesion)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack") / "data") as running:
        running.wait_ready(READY_LIMIT_S)
        yield running


def neuroscan(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "neuroscan", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def completed_scan(url: str, key: str, path: Path) -> ScanView:
    with Client(url, key) as client:
        scan = client.submit(
            path,
            pixel_spacing_mm=(1.0, 1.0),
            display_convention=DisplayConvention.RADIOLOGICAL,
        )
        scan = client.wait(scan.id, 60)
    assert scan.state is ScanState.COMPLETED
    return scan


def read_back(url: str, key: str, scan: ScanView) -> tuple[ScanView, bytes]:
    with Client(url, key) as client:
        return client.scan(scan.id), client.artefact(scan.id, "report.pdf")


def require_nothing_left(stack: Stack, sockets: Path) -> None:
    assert find_leftovers(stack.folder) == []
    assert not sockets.exists()
    assert not stack.folder.state.exists()
    assert find_running(stack.folder.root) is None


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_and_the_data_survive(
    signum: signal.Signals, tmp_path: Path, phantom: Path
) -> None:
    with Stack(tmp_path / "data") as stack:
        scan = completed_scan(stack.wait_ready(READY_LIMIT_S), stack.key, phantom)
        assert set(stack.state.services) == SERVICES
        sockets = stack.state.socket_folder
        assert stack.stop(signum) == 0
        require_nothing_left(stack, sockets)

        stack.start()
        found, report = read_back(stack.wait_ready(READY_LIMIT_S), stack.key, scan)
    assert found == scan
    assert report.startswith(b"%PDF-")


def test_a_folder_whose_launcher_was_killed_starts_again(tmp_path: Path, phantom: Path) -> None:
    with Stack(tmp_path / "data") as stack:
        scan = completed_scan(stack.wait_ready(READY_LIMIT_S), stack.key, phantom)
        before = stack.state
        stack.abandon()
        stack.start()
        found, _ = read_back(stack.wait_ready(READY_LIMIT_S), stack.key, scan)
        after = stack.state
        assert found == scan
        assert not before.socket_folder.exists()
        old = {service.pid for service in before.services.values()}
        assert not old & {service.pid for service in after.services.values()}
        alive = find_leftovers(stack.folder)
        assert not old & set(alive)
    require_nothing_left(stack, after.socket_folder)


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with Stack(tmp_path / "data") as stack:
        stack.wait_ready(READY_LIMIT_S)
        sockets = stack.state.socket_folder
        # A service that can't hear the first signal.
        stack.kill("inference", signal.SIGSTOP)
        began = time.monotonic()
        os.kill(stack.launcher_pid, signal.SIGINT)
        time.sleep(0.5)
        stack.stop(signal.SIGINT)
        assert time.monotonic() - began < 8
        require_nothing_left(stack, sockets)


def test_a_second_stack_on_the_folder_is_refused_in_a_sentence(stack: Stack) -> None:
    shown = neuroscan("up", "--data-dir", stack.folder.root, "--port", "0")
    assert shown.returncode == 1
    assert shown.stderr.startswith("neuroscan: A NeuroScan stack already runs on")
    assert len(shown.stderr.splitlines()) == 1
    stack.wait_ready(READY_LIMIT_S)


def test_a_taken_port_is_refused_in_a_sentence(stack: Stack, tmp_path: Path) -> None:
    port = stack.url.rpartition(":")[2]
    shown = neuroscan("up", "--data-dir", tmp_path / "other", "--port", port)
    assert shown.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in shown.stderr


def test_where_the_parts_are_is_told_to_the_owner_only(stack: Stack) -> None:
    assert stat.S_IMODE(stack.folder.state.stat().st_mode) == 0o600
    running = find_running(stack.folder.root)
    assert running is not None
    assert running.url == stack.url
    assert running.ready


def test_only_the_gateway_and_its_recorder_are_told_where_the_database_is(stack: Stack) -> None:
    told = set()
    for name, service in stack.state.services.items():
        environment = Path(f"/proc/{service.pid}/environ").read_bytes()
        if b"DATABASE_URL=" in environment:
            told.add(name)
    assert told == {"gateway", "recorder"}


@pytest.mark.parametrize("service", ["inference", "gateway", "valkey", "postgres"])
def test_a_killed_service_comes_back_where_it_was(stack: Stack, service: str) -> None:
    stack.wait_ready(READY_LIMIT_S)
    before = stack.state.services[service]
    killed = stack.kill(service)
    give_up_at = time.monotonic() + 30
    while stack.pid(service) in (None, killed):
        assert time.monotonic() < give_up_at, f"{service} was not started again"
        time.sleep(0.1)
    stack.wait_ready(READY_LIMIT_S)
    after = stack.state.services[service]
    assert after.url == before.url
    assert after.restarts > before.restarts


def test_analyze_prints_one_line_a_file_and_keeps_the_pictures(
    stack: Stack, phantom: Path, tmp_path: Path
) -> None:
    stack.wait_ready(READY_LIMIT_S)
    broken, twin = tmp_path / "broken.png", tmp_path / phantom.name
    broken.write_bytes(phantom.read_bytes()[:500])
    twin.write_bytes(phantom.read_bytes())
    out = tmp_path / "out"
    shown = neuroscan(
        *("analyze", phantom, broken, twin, "--json", "--out", out),
        *("--data-dir", stack.folder.root, "--pixel-spacing", "1"),
    )
    assert shown.returncode == 1, shown.stderr
    first, second, third = map(json.loads, shown.stdout.splitlines())
    assert [first["file"], third["file"]] == [str(phantom), str(twin)]
    assert set(second) == {"file", "problem"}
    assert second["problem"]["code"] == "truncated_image"
    for line in (first, third):
        del line["file"]
        scan = ScanView.model_validate(line)
        assert scan.state is ScanState.COMPLETED
        assert scan.classification is not None
        assert scan.spatial is not None
    endings = ("slice.png", "heatmap.png", "overlay.png", "report.pdf")
    stems = (phantom.stem, f"{phantom.stem}-2")
    assert {path.name for path in out.iterdir()} == {
        f"{stem}.{ending}" for stem in stems for ending in endings
    }


def test_analyze_shows_a_person_a_table(stack: Stack, phantom: Path) -> None:
    stack.wait_ready(READY_LIMIT_S)
    shown = neuroscan(
        *("analyze", phantom, "--data-dir", stack.folder.root, "--patient", "MRN-1"),
    )
    assert shown.returncode == 0, shown.stderr
    assert phantom.name in shown.stdout
    assert "completed" in shown.stdout
    assert "Research use only. Not for diagnosis." in shown.stdout


def test_the_doctor_finds_the_stack_and_nothing_missing(stack: Stack) -> None:
    stack.wait_ready(READY_LIMIT_S)
    shown = neuroscan("doctor", "--data-dir", stack.folder.root)
    assert shown.returncode == 0, shown.stdout
    assert stack.url in shown.stdout
    assert "missing" not in shown.stdout


def test_a_stack_that_can_not_start_says_why(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none"}
    with (
        Stack(tmp_path / "data", environment=environment) as stack,
        pytest.raises(StackError, match="can't be brought up to date"),
    ):
        stack.wait_ready(READY_LIMIT_S)
