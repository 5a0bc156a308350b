"""Parts that are away, frozen or forgetful for a while: every scan completes, none twice."""

import signal
import time

import pytest

from neuroscan.stack import Stack
from tests.chaos.faults import empty_broker, freeze, pool_child, running
from tests.chaos.runs import check_run

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]


def test_a_broker_that_forgets_everything(stack: Stack) -> None:
    check_run(stack, "broker-empty", lambda: empty_broker(stack))


def test_an_object_store_that_is_away(stack: Stack) -> None:
    check_run(stack, "store-away", lambda: take_store_away(stack, for_s=10))


@pytest.mark.parametrize(("service", "for_s"), [("inference", 20), ("valkey", 5), ("recorder", 20)])
def test_a_frozen_part(stack: Stack, service: str, for_s: float) -> None:
    check_run(stack, f"frozen-{service}", lambda: freeze(running(stack, service), for_s))


def test_a_frozen_explainer_loses_its_slice_to_another(stack: Stack) -> None:
    check_run(stack, "frozen-child", lambda: freeze(pool_child(stack, "explain"), 35))


@pytest.mark.parametrize("service", ["gateway", "recorder", "explain", "spatial"])
def test_a_part_that_is_asked_to_end_in_the_middle_of_its_work(stack: Stack, service: str) -> None:
    check_run(stack, f"term-{service}", lambda: stack.kill(service, signal.SIGTERM))


def take_store_away(stack: Stack, for_s: float) -> None:
    """Put a file in the folder's place: root could write into a read-only folder."""
    folder = stack.folder.objects
    away = folder.rename(folder.with_name("objects-away"))
    folder.touch()
    time.sleep(for_s)
    folder.unlink()
    away.rename(folder)
