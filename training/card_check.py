"""What a card says beside what the same measurements say anew, figure by figure."""

import re
from dataclasses import dataclass
from itertools import zip_longest

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Compared:
    """How many figures were compared, how many were one off in their last decimal, what differs.

    `lines` holds the kept line after `-` and the new one after `+`. Another CPU adds in another
    order, so a last decimal may differ by one; a whole number may not.
    """

    figures: int
    one_off: int
    lines: tuple[str, ...]


def compare_cards(kept: str, anew: str) -> Compared:
    """Two cards, line by line."""
    one_off, lines = 0, []
    for before, after in zip_longest(kept.splitlines(), anew.splitlines(), fillvalue=""):
        close = _one_off(before, after)
        if close is None:
            lines.append(f"- {before}\n+ {after}")
        else:
            one_off += close
    return Compared(len(_NUMBER.findall(kept)), one_off, tuple(lines))


def _one_off(before: str, after: str) -> int | None:
    """How many figures of a line are one off; None where it says something else."""
    if _NUMBER.split(before) != _NUMBER.split(after):
        return None
    pairs = [
        (one, other)
        for one, other in zip(_NUMBER.findall(before), _NUMBER.findall(after), strict=True)
        if one != other
    ]
    return len(pairs) if all(_is_close(*pair) for pair in pairs) else None


def _is_close(one: str, other: str) -> bool:
    decimals = len(one.partition(".")[2])
    if decimals == 0 or decimals != len(other.partition(".")[2]):
        return False
    return abs(int(one.replace(".", "")) - int(other.replace(".", ""))) == 1
