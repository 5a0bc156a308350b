"""Cost against size as a curve: the power of the size that the cost grows with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

# Small sizes cost what every call costs; the power is that of the curve's end.
_END_POINTS = 3


@dataclass(frozen=True)
class Curve:
    """How one cost grows from the smallest to the largest size.

    `exponent` is the slope of log cost over log size at the curve's last three points: 0 is flat,
    1 is proportional.
    """

    cost: str
    over: str
    smallest: float
    largest: float
    ms_at_smallest: float
    ms_at_largest: float
    exponent: float


def curve_of(cost: str, over: str, points: Mapping[float, float]) -> Curve:
    """The curve of `points`, ms by size, of at least two sizes."""
    sizes = sorted(points)
    end = sizes[-_END_POINTS:]
    return Curve(
        cost=cost,
        over=over,
        smallest=sizes[0],
        largest=sizes[-1],
        ms_at_smallest=points[sizes[0]],
        ms_at_largest=points[sizes[-1]],
        exponent=exponent(end, [points[size] for size in end]),
    )


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The least-squares slope of log cost over log size; all are above 0, two sizes differ."""
    across, up = [log(size) for size in sizes], [log(cost) for cost in costs]
    middle, height = sum(across) / len(across), sum(up) / len(up)
    spread = sum((x - middle) ** 2 for x in across)
    return sum((x - middle) * (y - height) for x, y in zip(across, up, strict=True)) / spread
