"""What each service imports, itself and through the library, against what it installs.

The tests run with every extra installed, so a missing one shows only here.
"""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from benchmarks.__main__ import PARTS
from tests.unit.project.test_locks import pins

ROOT = Path(__file__).resolve().parents[3]
OURS = ("neuroscan", "services", "training", "benchmarks")
ENTRIES = {
    "gateway": (
        "services.gateway.__main__",
        "services.gateway.recorder",
        "services.gateway.prepare",
        "services.gateway.auth.make_key",
        "services.gateway.db.migrate",
        "services.gateway.db.migrated",
        "services.gateway.maintenance.apply_erasures",
        "services.gateway.db.migrations.env",
    ),
    "inference": ("services.inference.__main__",),
    "explain": ("services.explain.__main__",),
    "spatial": ("services.spatial.__main__",),
    "reports": ("services.reports.__main__",),
}
# Asked for, though no line imports it: FastAPI reads forms with it.
NEVER_IMPORTED = {"python-multipart"}


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def source_of(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    found = (path / "__init__.py", path.with_suffix(".py"))
    return next((each for each in found if each.is_file()), None)


@cache
def imports_of(module: str) -> frozenset[str]:
    """What a module imports anywhere in it, and the packages that it lies in."""
    source = source_of(module)
    if source is None:
        return frozenset()
    found = {module.rpartition(".")[0]} - {""}
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(found)


def reached(entries: tuple[str, ...]) -> tuple[set[str], set[str]]:
    """Our modules that the entries lead to, and the top names of all others."""
    ours, others, waiting = set[str](), set[str](), list(entries)
    while waiting:
        module = waiting.pop()
        if module.split(".")[0] not in OURS:
            others.add(module.split(".")[0])
        elif module not in ours and source_of(module):
            ours.add(module)
            waiting += imports_of(module)
    return ours, others - sys.stdlib_module_names


@cache
def installed() -> dict[str, set[str]]:
    """The distributions behind each importable name; `opentelemetry` is that of many."""
    return {name: set(map(normalized, found)) for name, found in packages_distributions().items()}


def distributions(service: str) -> set[str]:
    """The distributions that a service's imports come from; fails for one that is unknown."""
    _, names = reached(ENTRIES[service])
    return {distribution for name in names for distribution in installed()[name]}


def required(extra: str | None = None) -> set[str]:
    """The distributions that `pyproject.toml` asks for, in general or for an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    # An extra of our own stands for what it asks for.
    own = {line: re.fullmatch(r"neuroscan\[(\w+)\]", line) for line in lines}
    names = {normalized(re.split(r"[^A-Za-z0-9._-]", line)[0]) for line in lines if not own[line]}
    return names.union(*(required(match[1]) for match in own.values() if match))


@pytest.mark.parametrize("service", ENTRIES)
def test_a_service_installs_all_that_it_imports(service: str) -> None:
    pinned = {normalized(name) for name in pins(service)}
    assert distributions(service) - pinned == set()


@pytest.mark.parametrize("service", ENTRIES)
def test_a_service_asks_for_nothing_that_it_does_not_import(service: str) -> None:
    assert required(service) - distributions(service) - NEVER_IMPORTED == set()


def test_the_library_asks_for_nothing_that_it_does_not_import() -> None:
    modules = [name for name in our_modules() if name.split(".")[0] == "neuroscan"]
    tops = {name.split(".")[0] for module in modules for name in imports_of(module)}
    found = {each for name in tops for each in installed().get(name, ())}
    assert required() - found == set()


def test_every_module_is_led_to_by_a_program() -> None:
    programs = [entry for entries in ENTRIES.values() for entry in entries]
    programs += [
        "neuroscan.__main__",
        "training.__main__",
        "training.plane",
        "benchmarks.spatial",
        "benchmarks.load",
        "benchmarks.parts",
        "benchmarks.capacity",
        "benchmarks.__main__",
        *(f"benchmarks.{part}" for part in PARTS),
        *(f"benchmarks.peers.{peer}" for peer in ("lit", "bento", "plain")),
    ]
    ours, _ = reached(tuple(programs))
    assert our_modules() - ours == set()


def our_modules() -> set[str]:
    """Every module of ours but the migrations, which Alembic finds by their folder."""
    files = [file for top in OURS for file in (ROOT / top).rglob("*.py")]
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in files
        if file.parent.name != "versions"
    }
