"""The data folder of a local stack: what lies where, who may enter, and the lock on it."""

import contextlib
import fcntl
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from neuroscan.stack.errors import FolderInUse, FolderUnusable, NoKey

SOCKET_FOLDER_PREFIX = "neuroscan-"
_LOCK_PATIENCE_S = 1.0
_TRAVERSE = stat.S_IXOTH


@dataclass(frozen=True)
class DataFolder:
    """Paths below one data folder."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> "DataFolder":
        """The folder at a path, which need not exist yet."""
        return cls(path.expanduser().resolve())

    @property
    def postgres(self) -> Path:
        """PostgreSQL's cluster."""
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        """The broker's append-only file."""
        return self.root / "valkey"

    @property
    def objects(self) -> Path:
        """The object store."""
        return self.root / "objects"

    @property
    def server_secret(self) -> Path:
        """The secret of the gateway's keys and sessions."""
        return self.root / "server.secret"

    @property
    def local_key(self) -> Path:
        """The API key of this machine's owner."""
        return self.root / "local.key"

    @property
    def run(self) -> Path:
        """What only matters while a stack runs."""
        return self.root / "run"

    @property
    def lock(self) -> Path:
        """Locked while a stack runs."""
        return self.run / "lock"

    @property
    def state(self) -> Path:
        """`StackState` as JSON."""
        return self.run / "stack.json"

    def create(self) -> None:
        """Make the folders that are missing, for the owner's eyes only."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.valkey, self.objects, self.run):
                folder.mkdir(mode=0o700, exist_ok=True)
            _write_once(self.server_secret, secrets.token_hex(32))
        except OSError as error:
            raise FolderUnusable(
                f"The data folder {self.root} can't be made ({error.strerror}); "
                "choose another with --data-dir."
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder alone; raises `FolderInUse`.

        Waits a moment first: `in_use` takes the lock for an instant to look.
        """
        with self.lock.open("a") as file:
            give_up_at = time.monotonic() + _LOCK_PATIENCE_S
            while not _try_lock(file.fileno()):
                if time.monotonic() > give_up_at:
                    raise FolderInUse(
                        f"A NeuroScan stack already runs on {self.root}; "
                        "stop it first, or choose another folder with --data-dir."
                    )
                time.sleep(0.05)
            yield

    def in_use(self) -> bool:
        """True while a stack holds the folder."""
        try:
            with self.lock.open("r") as file:
                return not _try_lock(file.fileno())
        except FileNotFoundError:
            return False


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_once(file: Path, text: str) -> None:
    """Write a file for the owner's eyes only, unless it is there."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as handle:
            handle.write(text + "\n")


def new_socket_folder() -> Path:
    """A private folder with a path short enough for Unix sockets (107 bytes)."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    # Under sudo the variable may name another user's folder, which nobody else can enter.
    if os.geteuid() == 0 or len(runtime) > 60 or not os.access(runtime, os.W_OK):
        runtime = "/tmp"  # noqa: S108 - mkdtemp makes it private, and TMPDIR may be too long
    return Path(tempfile.mkdtemp(prefix=SOCKET_FOLDER_PREFIX, dir=runtime))


def let_through(path: Path) -> list[Path]:
    """Let other users pass (not list) every folder above `path`; returns the changed ones."""
    changed = []
    for folder in path.resolve().parents:
        mode = folder.stat().st_mode
        if not mode & _TRAVERSE:
            folder.chmod(stat.S_IMODE(mode) | _TRAVERSE)
            changed.append(folder)
    return changed


def let_read(folder: Path) -> None:
    """Let other users read a folder of programs, as a strict umask at its installation did not."""
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        # What the owner may execute or enter, others may too.
        wanted = mode | stat.S_IROTH | (_TRAVERSE if mode & stat.S_IXUSR else 0)
        if mode != wanted:
            path.chmod(wanted)


def local_key(folder: DataFolder) -> str:
    """The API key that a stack on this folder wrote for its owner; raises `NoKey`."""
    try:
        return folder.local_key.read_text(encoding="ascii").strip()
    except OSError as error:
        raise NoKey(
            f"There is no key in {folder.root} that this user may read; start `neuroscan up` there."
        ) from error
