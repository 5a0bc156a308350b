"""What a card says beside what the same measurements say anew, figure by figure."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

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
    """Two cards, line by line; lines belong together that say the same but for their figures."""
    before, after = kept.splitlines(), anew.splitlines()
    one_off, lines = 0, []
    alike = SequenceMatcher(a=_without_figures(before), b=_without_figures(after), autojunk=False)
    for kind, low, high, new_low, new_high in alike.get_opcodes():
        if kind != "equal":
            lines += [f"- {line}" for line in before[low:high]]
            lines += [f"+ {line}" for line in after[new_low:new_high]]
            continue
        for one, other in zip(before[low:high], after[new_low:new_high], strict=True):
            close = _one_off(one, other)
            if close is None:
                lines.append(f"- {one}\n+ {other}")
            else:
                one_off += close
    return Compared(len(_NUMBER.findall(kept)), one_off, tuple(lines))


def _without_figures(lines: list[str]) -> list[str]:
    return [_NUMBER.sub("0", line) for line in lines]


def _one_off(before: str, after: str) -> int | None:
    """How many figures of a line are one off; None where one is another."""
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
