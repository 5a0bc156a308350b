"""A service that does not answer is left alone, and tried again by one call at a time."""

import pytest

from neuroscan.contracts.problems import StageFailed, Unavailable
from services.gateway.pipeline.breaker import FAILURES_MAX, PAUSE_S, Breaker, NoAnswer


class Clock:
    def __init__(self) -> None:
        self.time_s = 100.0

    def __call__(self) -> float:
        return self.time_s


def call(breaker: Breaker, outcome: Exception | None = None) -> bool:
    """Whether the call was made; it ends as told."""
    made = False
    try:
        with breaker.guarding():
            made = True
            if outcome is not None:
                raise outcome
    except (Unavailable, StageFailed):
        pass
    return made


def opened(clock: Clock) -> Breaker:
    breaker = Breaker("test", clock)
    for _ in range(FAILURES_MAX):
        assert call(breaker, NoAnswer())
    return breaker


def test_after_three_calls_without_an_answer_none_is_made() -> None:
    breaker = opened(Clock())
    with pytest.raises(Unavailable, match="not answered lately") as refused, breaker.guarding():
        raise AssertionError("called")
    assert refused.value.code == "unavailable"


def test_after_the_pause_one_call_tries() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.time_s += PAUSE_S
    with breaker.guarding():
        # The others still wait for what comes of it.
        assert not call(breaker)
    assert call(breaker)
    assert call(breaker)


def test_a_trial_without_an_answer_begins_the_pause_anew() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.time_s += PAUSE_S
    assert call(breaker, NoAnswer())
    clock.time_s += PAUSE_S - 1
    assert not call(breaker)
    clock.time_s += 1
    assert call(breaker)


@pytest.mark.parametrize("answer", [None, Unavailable("busy"), StageFailed()])
def test_any_answer_between_begins_the_count_anew(answer: Exception | None) -> None:
    breaker = Breaker("test", Clock())
    for _ in range(FAILURES_MAX - 1):
        assert call(breaker, NoAnswer())
    assert call(breaker, answer)
    for _ in range(FAILURES_MAX):
        assert call(breaker, NoAnswer())
    assert not call(breaker)
