"""What `neuroscan doctor` looks at on this machine."""

import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from rich.table import Table

from neuroscan.settings import ModelSettings
from neuroscan.stack import find_running

EXTRAS = ("gateway", "inference", "explain", "spatial", "reports", "local", "training")
# Library, Debian package.
_LIBRARIES = (
    ("libpango-1.0.so.0", "libpango-1.0-0"),
    ("libpangoft2-1.0.so.0", "libpangoft2-1.0-0"),
    ("libharfbuzz-subset.so.0", "libharfbuzz-subset0"),
)
# What is written with it, a language that needs it, Debian package.
_FONTS = (
    ("Latin", "en", "fonts-dejavu-core"),
    ("Arabic", "ar", "fonts-noto-core"),
    ("Hebrew", "he", "fonts-noto-core"),
    ("Chinese and Japanese", "ja", "fonts-noto-cjk"),
)
_LEAST_DISK_GB = 5
_TORCH_REPORT = """
import torch
device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
print(f"{device} (torch {torch.__version__})")
"""


@dataclass(frozen=True)
class Check:
    """One fact; `remedy` says how to get what is missing, `needed` whether the stack needs it."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = True


def all_checks(data_dir: Path) -> list[Check]:
    """Everything, in the order in which a person would set it up."""
    return [
        _python(),
        *(_packages(extra) for extra in EXTRAS),
        *(_library(library, package) for library, package in _LIBRARIES),
        *(_font(script, language, package) for script, language, package in _FONTS),
        _services(),
        _bundle(),
        _device(),
        _disk(data_dir),
        _stack(data_dir),
    ]


def check_table(checks: list[Check]) -> Table:
    """For a person."""
    table = Table(pad_edge=False, show_header=False, box=None)
    for check in checks:
        mark = (
            "[green]ok[/green]"
            if check.ok
            else "[red]missing[/red]"
            if check.needed
            else "[yellow]no[/yellow]"
        )
        detail = check.detail if check.ok else f"{check.detail} [bold]{check.remedy}[/bold]"
        table.add_row(mark, check.name, detail)
    return table


def _python() -> Check:
    return Check("Python", True, f"{platform.python_version()}, {os.cpu_count()} cores")


def _packages(extra: str) -> Check:
    missing = sorted(name for name in requirements(extra) if not _installed(name))
    return Check(
        f"packages of {extra}",
        not missing,
        f"lacks {', '.join(missing)};" if missing else f"{len(requirements(extra))} installed",
        f"pip install 'neuroscan[{extra}]', or scripts/setup",
        needed=extra != "training",
    )


def requirements(extra: str) -> set[str]:
    """The names of the packages that an extra asks for, through extras of its own too."""
    names: set[str] = set()
    for line in distribution("neuroscan").requires or []:
        if f'extra == "{extra}"' not in line.replace("'", '"'):
            continue
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?", line)
        assert match
        name, inner = match[1], match[2] or ""
        if name == "neuroscan":
            names.update(*(requirements(part.strip()) for part in inner.split(",")))
        else:
            names.add(name)
    return names


def _installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True


def _library(library: str, package: str) -> Check:
    try:
        ctypes.CDLL(library)
    except OSError:
        return Check(library, False, "the PDF reports need it;", f"apt-get install {package}")
    return Check(library, True, "found")


def _font(script: str, language: str, package: str) -> Check:
    name = f"font for {script}"
    command = shutil.which("fc-list")
    if command is None:
        return Check(name, False, "fc-list is missing;", "apt-get install fontconfig", needed=False)
    found = subprocess.run(  # noqa: S603 - fixed words
        [command, f":lang={language}", "family"], capture_output=True, text=True, check=False
    ).stdout.splitlines()
    if not found:
        remedy = f"apt-get install {package}"
        return Check(name, False, "names in it would print as boxes;", remedy, needed=False)
    return Check(name, True, sorted(found)[0])


def _services() -> Check:
    found = find_spec("services") is not None
    remedy = "run scripts/setup in a clone of the repository"
    return Check("services", found, "found" if found else "not importable;", remedy)


def _bundle() -> Check:
    bundle = ModelSettings().model_bundle
    found = (bundle / "bundle.json").is_file()
    return Check(
        "model bundle",
        found,
        bundle.name if found else f"none at {bundle};",
        "point MODEL_BUNDLE at one",
    )


def _device() -> Check:
    # In a process of its own: the command line stays free of torch.
    report = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", _TORCH_REPORT], capture_output=True, text=True, check=False
    )
    ok = report.returncode == 0
    lines = report.stdout.splitlines() or report.stderr.splitlines() or ["torch ended silently"]
    return Check("device", ok, lines[-1], "pip install 'neuroscan[inference]'")


def _disk(data_dir: Path) -> Check:
    folder = next(
        path for path in (data_dir.resolve(), *data_dir.resolve().parents) if path.exists()
    )
    free_gb = shutil.disk_usage(folder).free / 1e9
    return Check("disk", free_gb > _LEAST_DISK_GB, f"{free_gb:.0f} GB free", "make room")


def _stack(data_dir: Path) -> Check:
    state = find_running(data_dir)
    return Check(
        "running stack",
        state is not None,
        state.url if state else f"none on {data_dir};",
        "start one with `neuroscan up`",
        needed=False,
    )
