"""The pinned packages of each service."""

import re
from pathlib import Path

import pytest

LOCKS = Path(__file__).resolve().parents[3] / "locks"
SERVICES = (
    *("gateway", "inference", "explain", "spatial", "reports", "training"),
    # What images are made with, and the layer that two of them share.
    *("build", "network"),
)
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^ ;]+)", re.IGNORECASE | re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((LOCKS / f"{name}.txt").read_text()))


def test_the_gateway_installs_neither_torch_nor_opencv() -> None:
    heavy = {name for name in pins("gateway") if "torch" in name or "opencv" in name}
    assert not heavy


@pytest.mark.parametrize("service", ["gateway", "spatial", "reports"])
def test_only_those_who_run_the_network_install_torch(service: str) -> None:
    assert "torch" not in pins(service)


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_runs_the_versions_that_the_tests_ran_with(service: str) -> None:
    tested = pins("dev")
    assert pins(service)
    assert {name: tested.get(name) for name in pins(service)} == pins(service)


@pytest.mark.parametrize("service", ["inference", "explain"])
def test_the_shared_layer_holds_nothing_that_a_service_does_not_install(service: str) -> None:
    assert pins("network").items() <= pins(service).items()


@pytest.mark.parametrize("name", [*SERVICES, "dev"])
def test_locks_are_hashed_and_name_no_index(name: str) -> None:
    text = (LOCKS / f"{name}.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--(index-url|extra-index-url|find-links)", text, re.MULTILINE)
    blocks = re.split(r"\n(?=[a-z0-9])", text, flags=re.IGNORECASE)
    unhashed = [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block]
    assert not unhashed
