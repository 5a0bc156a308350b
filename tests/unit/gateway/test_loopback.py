"""Until there are keys, the gateway serves this machine only."""

import os
import subprocess
import sys

import pytest

from services.gateway.__main__ import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_this_machine_is_served(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "gateway.example", ""])
def test_anything_else_is_not(host: str) -> None:
    assert not is_loopback(host)


def test_the_process_ends_with_a_sentence() -> None:
    environment = {**os.environ, "HOST": "0.0.0.0"}
    ended = subprocess.run(
        [sys.executable, "-m", "services.gateway"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "loopback only" in ended.stderr
