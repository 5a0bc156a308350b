"""The embedded servers, real ones, under the supervisor."""

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
import redis

from neuroscan.stack.errors import FolderUnusable
from neuroscan.stack.folder import DataFolder, new_socket_folder
from neuroscan.stack.output import Output
from neuroscan.stack.postgres import EmbeddedPostgres, embedded_postgres
from neuroscan.stack.supervisor import Supervisor
from neuroscan.stack.valkey import EmbeddedValkey
from tests.unit.stack.programs import is_alive, until


@contextlib.asynccontextmanager
async def running_postgres(
    folder: DataFolder,
) -> AsyncIterator[tuple[EmbeddedPostgres, Supervisor]]:
    output = Output(io.StringIO())
    sockets = new_socket_folder()
    postgres = embedded_postgres(folder, sockets / "db", output)
    supervisor = Supervisor(output)
    try:
        await postgres.start(supervisor)
        yield postgres, supervisor
    finally:
        await supervisor.stop()
        (sockets / "db").rmdir()
        sockets.rmdir()


def connect(postgres: EmbeddedPostgres) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(postgres.owner_url.replace("+psycopg", ""), autocommit=True)


def new_folder(path: Path) -> DataFolder:
    folder = DataFolder.at(path)
    folder.create()
    return folder


def server_pid(supervisor: Supervisor, name: str) -> int:
    pid = supervisor.programs()[name][1]
    assert pid is not None
    return pid


def test_rows_survive_a_restart_and_a_pid_file_that_names_a_stranger(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    pid_file = folder.postgres / "postmaster.pid"

    async def first() -> int:
        async with running_postgres(folder) as (postgres, supervisor):
            with connect(postgres) as connection:
                connection.execute("CREATE TABLE note (word text)")
                connection.execute("INSERT INTO note VALUES ('kept')")
            return server_pid(supervisor, "postgres")

    async def second() -> object:
        async with running_postgres(folder) as (postgres, _):
            with connect(postgres) as connection:
                return connection.execute("SELECT word FROM note").fetchall()

    pid = asyncio.run(first())
    assert not is_alive(pid)
    assert not pid_file.exists()
    # What a killed server leaves, its number meanwhile given to somebody else: to us.
    pid_file.write_text(f"{os.getpid()}\n{folder.postgres}\n0\n5432\n/tmp\n\n0 0\nready\n")
    assert asyncio.run(second()) == [("kept",)]


def test_a_killed_database_comes_back_with_what_was_committed(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)

    async def work() -> None:
        async with running_postgres(folder) as (postgres, supervisor):
            with connect(postgres) as connection:
                connection.execute("CREATE TABLE note (word text)")
                connection.execute("INSERT INTO note VALUES ('kept')")
            os.kill(server_pid(supervisor, "postgres"), signal.SIGKILL)

            def answers() -> bool:
                try:
                    with connect(postgres) as connection:
                        rows = connection.execute("SELECT word FROM note").fetchall()
                except psycopg.OperationalError:
                    return False
                return rows == [("kept",)]

            await until(answers, 30)

    asyncio.run(work())


def test_a_server_that_somebody_else_runs_on_the_cluster_is_left_alone(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)

    async def make() -> None:
        async with running_postgres(folder):
            pass

    asyncio.run(make())
    stranger = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); import time; time.sleep(60)"],
        cwd=folder.postgres,
        stdout=subprocess.PIPE,
    )
    assert stranger.stdout is not None
    with stranger.stdout as stdout:
        stdout.readline()
        (folder.postgres / "postmaster.pid").write_text(f"{stranger.pid}\n")
        with pytest.raises(FolderUnusable, match="did not start"):
            asyncio.run(make())
        assert is_alive(stranger.pid)
        stranger.kill()
        stranger.wait()


def test_half_a_cluster_is_made_again(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    (folder.root / "postgres.new").mkdir()
    (folder.root / "postgres.new" / "PG_VERSION").write_text("18\n")

    async def work() -> str:
        async with running_postgres(folder) as (postgres, _):
            with connect(postgres) as connection:
                row = connection.execute("SHOW listen_addresses").fetchone()
                assert row is not None
                return str(row[0])

    assert asyncio.run(work()) == ""


def test_messages_survive_the_brokers_death(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    sockets = new_socket_folder()
    valkey = EmbeddedValkey(folder, sockets / "valkey.sock")

    async def work() -> None:
        supervisor = Supervisor(Output(io.StringIO()))
        client = redis.Redis(unix_socket_path=str(valkey.socket), decode_responses=True)
        supervisor.keep(valkey.program())
        try:
            await until(valkey.socket.exists)
            client.rpush("queue", "message")
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            # On disk within a second, as `appendfsync everysec` promises.
            await asyncio.sleep(1.5)
            first = server_pid(supervisor, "valkey")
            os.kill(first, signal.SIGKILL)
            await until(lambda: supervisor.programs()["valkey"][1] not in (None, first))

            def answers() -> bool:
                try:
                    return bool(client.lrange("queue", 0, -1) == ["message"])
                except redis.RedisError:
                    return False

            await until(answers)
        finally:
            client.close()
            await supervisor.stop()

    asyncio.run(work())
    valkey.socket.unlink(missing_ok=True)
    sockets.rmdir()
    assert valkey.broker_url == f"redis+socket://{valkey.socket}"
