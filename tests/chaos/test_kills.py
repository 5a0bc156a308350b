"""SIGKILL any one part in the middle of a run: every scan completes, none twice."""

import pytest

from neuroscan.stack import Stack
from tests.chaos.runs import check_run

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]


@pytest.mark.parametrize(
    "victim",
    ["inference", "explain", "spatial", "reports", "recorder", "gateway", "valkey", "postgres"],
)
def test_thirty_slices_complete_although_one_part_is_killed(stack: Stack, victim: str) -> None:
    check_run(stack, f"kill-{victim}", lambda: stack.kill(victim))
