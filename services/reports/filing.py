"""What a report is filed under: patient, study, versions and digests."""

from dataclasses import dataclass
from datetime import date, datetime

from neuroscan.contracts.enums import SpacingSource, StageName
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.patient import PatientView
from neuroscan.contracts.report import ReportRequest
from neuroscan.contracts.scan import ScanView
from services.reports.wording import (
    DASH,
    FORMAT_NAMES,
    SEX_WORDS,
    SPACING_WORDS,
    moment,
    percent,
    shortened,
)

# A longer name is set smaller, and shortened in the footer.
NAME_LONG = 40


@dataclass(frozen=True)
class Field:
    """A label and what stands beside it."""

    label: str
    value: str


def name_of(patient: PatientView | None) -> str:
    """The name, or that there is none."""
    return "No patient given" if patient is None else patient.name or "No name given"


def who(request: ReportRequest) -> list[Field]:
    """Whom and what the scan is filed under; the name stands before these, larger."""
    scan, patient = request.scan, request.patient
    filed = [Field("Reference", scan.reference or DASH), Field("Scan", scan.id)]
    if patient is None:
        return filed
    return [
        Field("MRN", patient.medical_record_number),
        Field("Born, sex", f"{_birth(patient, scan.acquired_at)} · {SEX_WORDS[patient.sex]}"),
        *filed,
    ]


def _birth(patient: PatientView, acquired_at: datetime | None) -> str:
    born = patient.birth_date
    if born is None:
        return DASH
    years = None if acquired_at is None else _full_years(born, acquired_at.date())
    return born.isoformat() if years is None else f"{born.isoformat()} ({years} y at acquisition)"


def _full_years(born: date, on: date) -> int | None:
    years = on.year - born.year - ((on.month, on.day) < (born.month, born.day))
    return years if years >= 0 else None


def footer_who(request: ReportRequest) -> str:
    """For every page: whose it is, in case the sheets part."""
    return f"{footer_name(request.patient)}Scan {request.scan.id}"


def footer_name(patient: PatientView | None) -> str:
    """Name and number as the beginning of a line; empty without a patient."""
    if patient is None:
        return ""
    name = f"{shortened(patient.name, NAME_LONG)} · " if patient.name else ""
    return f"{name}MRN {shortened(patient.medical_record_number, NAME_LONG)} · "


def study(scan: ScanView) -> list[Field]:
    """Times, slice and scale."""
    image = scan.image
    done = [each.finished_at for each in scan.stages if each.name is not StageName.REPORT]
    analyzed = None if None in done else max((at for at in done if at is not None), default=None)
    picture = f"{FORMAT_NAMES[image.format]}, {image.width} × {image.height} px"
    return [
        Field("Acquired", moment(scan.acquired_at)),
        Field("Received", moment(scan.created_at)),
        Field("Completed", moment(analyzed)),
        Field("Slice", f"{_slice(image.geometry)} · {picture}"),
        Field("Pixel spacing", _spacing(image.geometry)),
    ]


def _slice(geometry: Geometry) -> str:
    if geometry.plane is None:
        return "plane unknown"
    if geometry.plane_confidence is None:
        return geometry.plane.value
    return f"{geometry.plane.value} ({percent(geometry.plane_confidence)} sure)"


def _spacing(geometry: Geometry) -> str:
    row, column = geometry.row_mm, geometry.column_mm
    if row is None or column is None or geometry.source is SpacingSource.UNKNOWN:
        return "unknown"
    size = f"{row:.3g}" if abs(row - column) < 0.001 else f"{row:.3g} × {column:.3g}"
    return f"{size} mm, {SPACING_WORDS[geometry.source]}"


def digests(scan: ScanView) -> list[Field]:
    """What this report can be checked against."""
    of_file = Field("File as sent, sha256", scan.image.sha256)
    if scan.model is None:
        return [of_file]
    return [of_file, Field("Model’s weights, sha256", scan.model.sha256)]


def model_words(scan: ScanView) -> str:
    """The model with version and the beginning of its digest."""
    if scan.model is None:
        return "No model"
    return f"Model {scan.model.name} {scan.model.version} · sha256 {scan.model.sha256[:12]}"
