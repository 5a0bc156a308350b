"""The trend: one plane, by date, areas where they are known."""

from datetime import UTC, datetime

import pytest

from neuroscan.contracts.enums import Plane, SpacingSource, TumorClass
from services.gateway.patients.history import TrendScan, trend_of


def scan(day: int, **changes: object) -> TrendScan:
    usual: dict[str, object] = {
        "scan_id": f"scan-{day}",
        "at": datetime(2026, 1, day, tzinfo=UTC),
        "label": TumorClass.GLIOMA,
        "confidence": 0.9,
        "prediction_set": [TumorClass.GLIOMA],
        "accepted": True,
        "plane": Plane.AXIAL,
        "spacing_source": SpacingSource.DICOM,
        "row_mm": 0.5,
        "column_mm": 2.0,
        "area_px": 100,
    }
    return TrendScan(**usual | changes)  # type: ignore[arg-type]


def test_points_are_in_the_order_of_acquisition_with_their_area() -> None:
    trend = trend_of([scan(3), scan(1, area_px=50), scan(2)])
    assert trend.plane is Plane.AXIAL
    assert [point.scan_id for point in trend.points] == ["scan-1", "scan-2", "scan-3"]
    assert [point.area_mm2 for point in trend.points] == [50.0, 100.0, 100.0]


def test_only_the_commonest_plane_counts() -> None:
    trend = trend_of([scan(1, plane=Plane.CORONAL), scan(2), scan(3), scan(4, plane=None)])
    assert [point.scan_id for point in trend.points] == ["scan-2", "scan-3"]


def test_scans_that_the_input_check_turned_away_do_not_count() -> None:
    turned_away = [scan(day, accepted=False, plane=Plane.SAGITTAL) for day in (1, 2, 3)]
    trend = trend_of([*turned_away, scan(4)])
    assert (trend.plane, len(trend.points)) == (Plane.AXIAL, 1)


def test_without_a_known_plane_all_scans_without_one_count() -> None:
    trend = trend_of([scan(1, plane=None), scan(2, plane=None)])
    assert (trend.plane, len(trend.points)) == (None, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"row_mm": None},
        {"area_px": None},
        {"label": TumorClass.NO_TUMOR},
        {"spacing_source": SpacingSource.HEAD_SIZE},
    ],
)
def test_an_area_that_is_not_known_is_none(changes: dict[str, object]) -> None:
    assert trend_of([scan(1, **changes)]).points[0].area_mm2 is None


def test_nobody_has_an_empty_trend() -> None:
    assert trend_of([]).points == []
