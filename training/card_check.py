"""What a card says beside what the same measurements say anew, figure by figure."""

import re
from collections.abc import Iterator
from itertools import zip_longest

_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def count_figures(card: str) -> int:
    """How many numbers stand in a card."""
    return len(_NUMBER.findall(card))


def differences(kept: str, anew: str) -> Iterator[str]:
    """The lines of two cards that differ: the kept one after `-`, the new one after `+`."""
    for before, after in zip_longest(kept.splitlines(), anew.splitlines(), fillvalue=""):
        if before != after:
            yield f"- {before}\n+ {after}"
