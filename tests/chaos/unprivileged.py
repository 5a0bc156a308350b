"""Run a module as a user who may do little: root would write into a folder that is read-only."""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from pathlib import Path

from neuroscan.settings import REPOSITORY

USER = "nobody"
_READ = "import benchmarks, neuroscan, services, tests"


class NotPossible(Exception):
    """The user can't run it; `str()` says what is missing."""


def run_as_nobody(module: str, arguments: Iterable[str]) -> int:
    """Run `python -m module` as the system user `nobody`, at home in a folder of its own.

    Returns its exit code. Changes no permission: raises `NotPossible` when the interpreter or the
    checkout can't be read.
    """
    try:
        user = pwd.getpwnam(USER)
    except KeyError as error:
        raise NotPossible(f"There is no user `{USER}`: run this as an ordinary user.") from error
    home = Path(tempfile.mkdtemp(prefix="neuroscan-nobody-", dir="/tmp"))
    try:
        os.chown(home, user.pw_uid, user.pw_gid)
        environment = {
            **{name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"},
            "HOME": str(home),
            "TMPDIR": str(home),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(REPOSITORY),
        }

        def run(*command: str, quiet: bool = False) -> int:
            return subprocess.run(
                command,
                cwd=REPOSITORY,
                env=environment,
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
                check=False,
                capture_output=quiet,
            ).returncode

        try:
            readable = run(sys.executable, "-c", _READ, quiet=True) == 0
        except PermissionError:
            readable = False
        if not readable:
            raise NotPossible(_what_is_missing())
        return run(sys.executable, "-m", module, *arguments)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _what_is_missing() -> str:
    """The first folder on the way to the interpreter or the checkout that others can't pass."""
    python = Path(sys.executable).resolve()
    packages = Path(sysconfig.get_path("purelib"))
    for place in (python, packages, packages.resolve(), REPOSITORY):
        for folder in [*reversed(place.parents), place]:
            with contextlib.suppress(FileNotFoundError):
                if not folder.stat().st_mode & 0o001:
                    return (
                        f"{folder} is closed to other users, and `{USER}` must pass it to reach "
                        f"{place}: open it (chmod o+x), or run this as an ordinary user."
                    )
    return (
        f"`{USER}` can't read {python} or {REPOSITORY}: let others read them, or run this as an "
        "ordinary user."
    )
