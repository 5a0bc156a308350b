"""The power of the size that a cost grows with."""

import pytest

from benchmarks.curves import curve_of, exponent


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_a_pure_power_is_found(power: float) -> None:
    sizes = [1.0, 3.0, 10.0]
    assert exponent(sizes, [7 * size**power for size in sizes]) == pytest.approx(power)


def test_what_every_call_costs_does_not_hide_the_curve_s_end() -> None:
    points = {float(10**n): 50 + 0.01 * (10.0**n) ** 1.5 for n in range(7)}
    found = curve_of("x", "rows", points)
    assert (found.smallest, found.largest) == (1, 1e6)
    assert found.ms_at_smallest == pytest.approx(50.01)
    assert found.exponent == pytest.approx(1.5, abs=0.01)


def test_two_sizes_make_a_curve() -> None:
    assert curve_of("x", "rows", {2.0: 10.0, 1.0: 5.0}).exponent == pytest.approx(1)
