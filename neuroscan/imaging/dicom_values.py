"""Single DICOM attributes as plain Python values; None for what is missing or malformed."""

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import cast

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from neuroscan.imaging.limits import DECODER_ERRORS

_CODE = re.compile(r"[A-Z0-9 _]{1,16}")


def attribute(elements: Dataset, keyword: str) -> object:
    """The attribute's value; None when it is missing, empty or can't be parsed."""
    try:
        value: object = elements.get(keyword)
    except DECODER_ERRORS:
        return None
    return value


def numbers(elements: Dataset, keyword: str) -> tuple[float, ...] | None:
    """All values of a numeric attribute; None when one is no number."""
    value = attribute(elements, keyword)
    parts: list[object] = list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]
    if not parts or not all(isinstance(part, (int, float, Decimal)) for part in parts):
        return None
    return tuple(map(float, cast("list[float]", parts)))


def number(elements: Dataset, keyword: str) -> float | None:
    """The value of a numeric attribute with exactly one value."""
    found = numbers(elements, keyword)
    return found[0] if found is not None and len(found) == 1 else None


def integer(elements: Dataset, keyword: str) -> int | None:
    """The value of an attribute with exactly one whole number."""
    found = number(elements, keyword)
    return int(found) if found is not None and math.isfinite(found) else None


def text(elements: Dataset, keyword: str) -> str | None:
    """The stripped text of an attribute, several values joined by backslashes; None when empty."""
    value = attribute(elements, keyword)
    if value is None or isinstance(value, (bytes, Sequence)):
        return None
    parts = list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]
    try:
        return "\\".join(map(str, parts)).strip(" \x00") or None
    except DECODER_ERRORS:
        return None


def is_code(value: object) -> bool:
    """Whether a value is a code string (VR CS): capitals, digits, space, underscore; 16 at most."""
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def code(elements: Dataset, keyword: str) -> str | None:
    """The text of a single-valued code string."""
    found = text(elements, keyword)
    return found if is_code(found) else None


def items(elements: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; empty when there is none."""
    value = attribute(elements, keyword)
    return list(value) if isinstance(value, Sequence) else []


def frame_groups(elements: Dataset, frame: int) -> Iterator[Dataset]:
    """Where a frame's own attributes may stand, the most specific first.

    Enhanced objects (PS3.3, C.7.6.16): per-frame and shared functional groups; then the top level.
    """
    per_frame = items(elements, "PerFrameFunctionalGroupsSequence")
    if frame < len(per_frame):
        yield per_frame[frame]
    yield from items(elements, "SharedFunctionalGroupsSequence")[:1]
    yield elements


def in_group(elements: Dataset, frame: int, group: str, keyword: str) -> tuple[float, ...] | None:
    """A frame's numeric attribute from its functional group `group`, or from the top level."""
    for place in frame_groups(elements, frame):
        holders = items(place, group)[:1] or ([place] if place is elements else [])
        for holder in holders:
            found = numbers(holder, keyword)
            if found is not None:
                return found
    return None
