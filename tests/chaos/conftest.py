"""A stack that may be treated badly."""

from collections.abc import Iterator

import pytest

from neuroscan.stack import Stack


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack of the module's own, so that no other test meets what was done to it."""
    with Stack() as running:
        running.wait_ready()
        yield running
