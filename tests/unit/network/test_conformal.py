"""Prediction sets."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from neuroscan.network.conformal import prediction_set, whole_set

SHARES = st.lists(st.floats(0.001, 1), min_size=4, max_size=4).map(
    lambda values: [value / sum(values) for value in values]
)


@given(SHARES, st.floats(0, 1))
def test_a_set_is_never_empty_and_begins_with_the_likeliest(
    shares: list[float], threshold: float
) -> None:
    chosen = prediction_set(shares, threshold)
    assert chosen[0] == int(np.argmax(shares))
    assert all(shares[index] >= threshold for index in chosen[1:])
    left_out = set(range(4)) - set(chosen)
    assert all(shares[index] < threshold for index in left_out)


@given(SHARES, st.floats(0, 1), st.floats(0, 1))
def test_a_lower_threshold_only_adds(shares: list[float], first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert set(prediction_set(shares, high)) <= set(prediction_set(shares, low))


@given(SHARES)
def test_the_whole_set_has_every_class_in_order_of_belief(shares: list[float]) -> None:
    chosen = whole_set(shares)
    assert sorted(chosen) == [0, 1, 2, 3]
    assert [shares[index] for index in chosen] == sorted(shares, reverse=True)
