"""`results.csv`: one line a file, with the class, the probabilities and the main measurements.

A number that is only a stand-in for its quantity is not in the table; its standing says so.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from neuroscan import NOTICE
from neuroscan.contracts.batch import REFUSED
from neuroscan.contracts.enums import StageState, TumorClass
from neuroscan.contracts.problems import Problem
from neuroscan.contracts.scan import ScanView
from neuroscan.contracts.spatial import SpatialParameters
from services.gateway.db.tables import BatchItem

# What a spreadsheet takes for the beginning of a formula, also in full width.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Cell = str | int | float | None


@dataclass(frozen=True)
class ResultRow:
    """An item, its scan, and the object that holds its PDF."""

    item: BatchItem
    scan: ScanView | None
    pdf: str | None


def report_path(row: ResultRow) -> str | None:
    """Where the API gives the row's PDF."""
    return row.scan.report.href if row.scan and row.scan.report else None


def csv_pieces(
    rows: Iterable[ResultRow], report: Callable[[ResultRow], str | None] = report_path
) -> Iterator[bytes]:
    """The table in UTF-8 (RFC 4180), a line a piece; `report` says where a row's PDF is."""
    yield _line(COLUMNS)
    for row in rows:
        yield _line([*_cells(row), safe(report(row) or ""), NOTICE])


def safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith(_FORMULA) else text


_SPATIAL = (
    "anatomical_region",
    "anatomical_region_status",
    "hemisphere",
    "hemisphere_status",
    "tumor_volume_cm3",
    "tumor_volume_status",
    "dimension_1_mm",
    "dimension_2_mm",
    "dimension_3_mm",
    "dimensions_status",
    "midline_shift_mm",
    "midline_shift_status",
    "edema_volume_status",
    "relative_cerebral_blood_volume_status",
)
COLUMNS = (
    "position",
    "file",
    "scan_id",
    "state",
    "problem",
    "label",
    "confidence",
    *(f"p_{label}" for label in TumorClass),
    "prediction_set",
    "input_accepted",
    *_SPATIAL,
    "report",
    "notice",
)


def _cells(row: ResultRow) -> list[Cell]:
    item, scan, problem = row.item, row.scan, problem_of(row)
    return [
        item.position,
        safe(item.file),
        item.scan_id,
        scan.state if scan else REFUSED,
        problem.code if problem else None,
        *_classification(scan),
        *_spatial(scan.spatial if scan else None),
    ]


def problem_of(row: ResultRow) -> Problem | None:
    """Why a file did not become a scan, or why its scan failed."""
    if row.item.problem is not None:
        return Problem.model_validate(row.item.problem)
    for stage in row.scan.stages if row.scan else ():
        if stage.state is StageState.FAILED and stage.problem is not None:
            return stage.problem
    return None


def _classification(scan: ScanView | None) -> list[Cell]:
    if scan is None or scan.classification is None or scan.input_check is None:
        return [None] * (4 + len(TumorClass))
    found = scan.classification
    return [
        found.label,
        found.confidence,
        *(getattr(found.probabilities, label) for label in TumorClass),
        " ".join(found.prediction_set),
        "true" if scan.input_check.accepted else "false",
    ]


def _spatial(found: SpatialParameters | None) -> list[Cell]:
    if found is None:
        return [None] * len(_SPATIAL)
    region, size = found.anatomical_region, found.maximum_dimensions
    return [
        safe(region.value.name) if region.value else None,
        region.status,
        found.hemisphere.value,
        found.hemisphere.status,
        found.tumor_volume.value,
        found.tumor_volume.status,
        *(size.value or (None, None, None)),
        size.status,
        found.midline_shift.value,
        found.midline_shift.status,
        found.edema_volume.status,
        found.relative_cerebral_blood_volume.status,
    ]


def _line(cells: Iterable[Cell]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().encode()
