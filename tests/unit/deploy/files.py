"""The deployment's files, parsed."""

from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
DEPLOY = REPOSITORY / "deploy"
# Only with the profile `observe`.
WATCHING = ("prometheus", "grafana")
ONCE = ("volumes", "database-setup", "migrate", "admin")
Service = dict[str, Any]


def compose(name: str = "docker-compose.yml") -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text())
    return parsed


def services() -> dict[str, Service]:
    found: dict[str, Service] = compose()["services"]
    return found


def seconds(text: str) -> int:
    assert text.endswith("s")
    return int(text.removesuffix("s"))
