"""When a DICOM slice was acquired."""

import re
from datetime import datetime, timedelta

from pydicom.dataset import Dataset

from neuroscan.imaging.dicom_values import text

# Dates outside stand for none; some have no counterpart in another time zone.
YEAR_MIN, YEAR_MAX = 1900, 9998
_DATE_TIME = re.compile(
    r"(?P<date>\d{8})(?P<time>\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?(?P<offset>[+-]\d{4})?"
)
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})")


def acquired_at(elements: Dataset) -> datetime | None:
    """AcquisitionDateTime, else acquisition date and time, else study date and time, in UTC.

    A time without an offset of its own takes TimezoneOffsetFromUTC, else it counts as UTC. None
    when no date can be read.
    """
    offset = text(elements, "TimezoneOffsetFromUTC") or ""
    stamps = [text(elements, "AcquisitionDateTime")]
    for event in ("Acquisition", "Study"):
        date = (text(elements, f"{event}Date") or "").replace(".", "")
        time = (text(elements, f"{event}Time") or "").replace(":", "")
        stamps.append(date + time if date else None)
    for stamp in stamps:
        moment = _parse(stamp, offset) if stamp else None
        if moment is not None:
            return moment
    return None


def _parse(stamp: str, default_offset: str) -> datetime | None:
    match = _DATE_TIME.fullmatch(stamp)
    if match is None:
        return None
    digits = (match["time"] or "").partition(".")
    clock = digits[0].ljust(6, "0")
    microseconds = digits[2].ljust(6, "0")
    try:
        moment = datetime.strptime(f"{match['date']}{clock}{microseconds}+0000", "%Y%m%d%H%M%S%f%z")
        moment -= _offset(match["offset"] or default_offset)
    except (ValueError, OverflowError):
        return None
    return moment if YEAR_MIN <= moment.year <= YEAR_MAX else None


def _offset(written: str) -> timedelta:
    match = _OFFSET.fullmatch(written)
    if match is None:
        return timedelta()
    span = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return -span if match[1] == "-" else span
