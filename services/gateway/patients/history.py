"""A patient's scans over time, with the trend of area and confidence."""

from datetime import datetime

from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import Plane, ScanState, TumorClass
from neuroscan.contracts.scan import ScanView

TREND_NOTE = "Area of the marked region in one plane. Not a volume."


class TrendPoint(Contract):
    """One scan in the trend; `area_mm2` is missing where the pixel spacing is not known."""

    scan_id: str
    at: datetime
    label: TumorClass
    confidence: float
    area_mm2: float | None


class Trend(Contract):
    """Points of one plane, oldest first, by the date of acquisition (else of arrival)."""

    plane: Plane | None
    note: str = TREND_NOTE
    points: list[TrendPoint]


class History(Contract):
    """One page of a patient's scans, newest first, and the trend over that page."""

    items: list[ScanView]
    next_cursor: str | None
    trend: Trend


def trend_of(scans: list[ScanView]) -> Trend:
    """The trend over completed scans of the plane that most of them show."""
    usable = [
        scan
        for scan in scans
        if scan.state is ScanState.COMPLETED
        and scan.classification is not None
        and scan.input_check is not None
        and scan.input_check.accepted
    ]
    planes = [scan.image.geometry.plane for scan in usable if scan.image.geometry.plane]
    plane = max(sorted(set(planes)), key=planes.count) if planes else None
    points = [_point(scan) for scan in usable if scan.image.geometry.plane is plane]
    return Trend(plane=plane, points=sorted(points, key=lambda point: point.at))


def _point(scan: ScanView) -> TrendPoint:
    assert scan.classification is not None
    return TrendPoint(
        scan_id=scan.id,
        at=scan.acquired_at or scan.created_at,
        label=scan.classification.label,
        confidence=scan.classification.confidence,
        area_mm2=_area_mm2(scan),
    )


def _area_mm2(scan: ScanView) -> float | None:
    geometry = scan.image.geometry
    region = scan.explanation.region if scan.explanation else None
    tumor = scan.classification and scan.classification.label is not TumorClass.NO_TUMOR
    if region is None or not tumor or geometry.row_mm is None or geometry.column_mm is None:
        return None
    return region.area_px * geometry.row_mm * geometry.column_mm
