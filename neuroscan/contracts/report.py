"""What the gateway sends to the reports service; the service keeps nothing."""

from datetime import datetime
from enum import StrEnum

from pydantic import Base64Bytes

from neuroscan.contracts.base import Contract
from neuroscan.contracts.patient import PatientView
from neuroscan.contracts.scan import ScanView


class PageSize(StrEnum):
    """Paper."""

    A4 = "A4"
    LETTER = "Letter"


class ReportPictures(Contract):
    """PNG pictures, base64 in JSON; only `slice` is always there."""

    slice: Base64Bytes
    heatmap: Base64Bytes | None = None
    overlay: Base64Bytes | None = None


class ReportRequest(Contract):
    """All that the page prints."""

    scan: ScanView
    patient: PatientView | None
    notes: str | None
    pictures: ReportPictures
    software_version: str
    made_at: datetime
    page_size: PageSize = PageSize.A4
