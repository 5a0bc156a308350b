"""A patient's scans over time, with the trend of area and confidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import Plane, SpacingSource, TumorClass
from neuroscan.contracts.results import PossibleClasses
from neuroscan.contracts.scan import ScanView

TREND_NOTE = (
    "Area of the marked region in one plane, where file or sender state the pixel spacing. "
    "Not a volume."
)
# Far more than a person has; a bound all the same.
TREND_SCANS_MAX = 500


class TrendPoint(Contract):
    """One scan in the trend; `area_mm2` is missing where nobody states the pixel spacing."""

    scan_id: str
    at: datetime
    label: TumorClass
    confidence: float
    prediction_set: PossibleClasses | None = None
    area_mm2: float | None


class Trend(Contract):
    """Points of one plane, oldest first, by the date of acquisition (else of arrival).

    Of the patient's newest 500 completed scans those count that the input check accepted and that
    show the plane which most of them show.
    """

    plane: Plane | None
    note: str = TREND_NOTE
    points: list[TrendPoint] = Field(max_length=TREND_SCANS_MAX)


class History(Contract):
    """One page of a patient's scans, newest first, and the trend over all pages."""

    items: list[ScanView]
    next_cursor: str | None
    trend: Trend


@dataclass(frozen=True)
class TrendScan:
    """What the trend takes from a completed scan."""

    scan_id: str
    at: datetime
    label: TumorClass
    confidence: float
    prediction_set: list[TumorClass] | None
    accepted: bool
    plane: Plane | None
    spacing_source: SpacingSource
    row_mm: float | None
    column_mm: float | None
    area_px: int | None


def trend_of(scans: Sequence[TrendScan]) -> Trend:
    """The trend over the accepted scans of the plane that most of them show."""
    usable = [scan for scan in scans if scan.accepted]
    planes = [scan.plane for scan in usable if scan.plane]
    plane = max(sorted(set(planes)), key=planes.count) if planes else None
    points = [
        TrendPoint(
            scan_id=scan.scan_id,
            at=scan.at,
            label=scan.label,
            confidence=scan.confidence,
            prediction_set=scan.prediction_set,
            area_mm2=_area_mm2(scan),
        )
        for scan in usable
        if scan.plane is plane
    ]
    return Trend(plane=plane, points=sorted(points, key=lambda point: (point.at, point.scan_id)))


def _area_mm2(scan: TrendScan) -> float | None:
    # An estimate from the head differs from slice to slice: a tumor would seem to grow by it.
    if scan.label is TumorClass.NO_TUMOR or not scan.spacing_source.stated:
        return None
    if scan.area_px is None or scan.row_mm is None or scan.column_mm is None:
        return None
    return scan.area_px * scan.row_mm * scan.column_mm
