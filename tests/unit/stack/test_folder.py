"""The data folder: its lock, its modes, and what a killed launcher leaves."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from neuroscan.stack.errors import FolderInUse, FolderUnusable, HostRefused, PortTaken
from neuroscan.stack.folder import DataFolder, let_read, let_through, new_socket_folder
from neuroscan.stack.leftovers import end_leftovers, find_leftovers
from neuroscan.stack.ports import free_ports, require_free, require_loopback
from neuroscan.stack.state import ServiceState, StackState, read_state, write_state
from tests.unit.stack.programs import is_alive, until


def folder_at(path: Path) -> DataFolder:
    folder = DataFolder.at(path)
    folder.create()
    return folder


def marked_process(folder: DataFolder, code: str) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "NEUROSCAN_STACK": str(folder.root)}
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", f"{code}; print(flush=True); import time; time.sleep(60)"],
        env=environment,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def end(process: "subprocess.Popen[bytes]") -> int:
    process.kill()
    assert process.stdout is not None
    process.stdout.close()
    return process.wait()


def test_a_locked_folder_refuses_a_second_holder(tmp_path: Path) -> None:
    folder = folder_at(tmp_path)
    with folder.locked():
        assert folder.in_use()
        with pytest.raises(FolderInUse, match="already runs on"), folder.locked():
            pass
    assert not folder.in_use()
    with folder.locked():
        pass


def test_only_the_owner_can_look_into_the_folder(tmp_path: Path) -> None:
    folder = folder_at(tmp_path / "data")
    for path in (folder.root, folder.objects, folder.valkey, folder.run):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_file_in_the_folders_place_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(FolderUnusable, match="choose another with --data-dir"):
        folder_at(tmp_path / "data")


def test_letting_through_adds_traversal_and_nothing_else(tmp_path: Path) -> None:
    closed, inner = tmp_path / "closed", tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    closed.chmod(0o700)
    before = stat.S_IMODE(tmp_path.stat().st_mode)
    changed = let_through(inner)
    assert closed in changed
    assert stat.S_IMODE(closed.stat().st_mode) == 0o701
    assert stat.S_IMODE(tmp_path.stat().st_mode) == before | 0o001
    assert let_through(inner) == []


def test_programs_become_readable_but_not_writable(tmp_path: Path) -> None:
    program, library = tmp_path / "wheel" / "bin" / "program", tmp_path / "wheel" / "library.so"
    program.parent.mkdir(parents=True)
    for path, mode in ((program, 0o700), (library, 0o600)):
        path.write_text("")
        path.chmod(mode)
    program.parent.chmod(0o700)
    let_read(tmp_path / "wheel")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (program, library, program.parent)]
    assert modes == [0o705, 0o604, 0o705]


def test_socket_folders_are_private_and_short() -> None:
    folder = new_socket_folder()
    try:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(bytes(folder / "db" / ".s.PGSQL.5432")) < 107
    finally:
        folder.rmdir()


def test_leftovers_are_ended_and_others_left_alone(tmp_path: Path) -> None:
    ours, other = folder_at(tmp_path / "ours"), folder_at(tmp_path / "ours-not")
    left = marked_process(ours, "pass")
    foreign = marked_process(other, "pass")
    try:
        assert find_leftovers(ours) == [left.pid]
        assert end_leftovers(ours) == 1
        assert left.wait(5) == -signal.SIGTERM
        assert is_alive(foreign.pid)
    finally:
        end(left)
        end(foreign)


def test_a_deaf_leftover_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroscan.stack.leftovers._GRACE_S", 0.3)
    folder = folder_at(tmp_path)
    left = marked_process(folder, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    try:
        assert end_leftovers(folder) == 1
        assert left.wait(5) == -signal.SIGKILL
    finally:
        end(left)


def test_state_is_read_back_and_private(tmp_path: Path) -> None:
    state = StackState(
        url="http://127.0.0.1:8000",
        launcher_pid=1,
        started_at=datetime.now(UTC),
        ready=True,
        socket_folder=tmp_path,
        database_url=None,
        broker_url=None,
        object_store_url=None,
        services={"gateway": ServiceState(pid=2, url=None, restarts=0)},
    )
    path = tmp_path / "stack.json"
    write_state(path, state)
    write_state(path, state)
    assert read_state(path) == state
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("{}")
    assert read_state(path) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.org", "::"])
def test_hosts_that_others_reach_are_refused(host: str) -> None:
    with pytest.raises(HostRefused):
        require_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_hosts_are_taken(host: str) -> None:
    assert require_loopback(host)


def test_a_taken_port_is_refused_in_a_sentence() -> None:

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} on 127.0.0.1 is taken"):
            require_free("127.0.0.1", port)


def test_free_ports_are_distinct_and_not_those_of_outgoing_connections() -> None:
    lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert max(ports) < lowest_outgoing


def test_waiting_helper_gives_up() -> None:
    with pytest.raises(AssertionError, match="never held"):
        asyncio.run(until(lambda: False, limit_s=0.1))
