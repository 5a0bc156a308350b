"""What the gateway sends to the reports service; the service keeps nothing."""

from datetime import datetime
from enum import StrEnum

from pydantic import Base64Bytes, Field

from neuroscan.contracts.base import Contract
from neuroscan.contracts.batch import BATCH_FILES_MAX, ItemState
from neuroscan.contracts.enums import TumorClass
from neuroscan.contracts.patient import PatientView
from neuroscan.contracts.problems import Problem
from neuroscan.contracts.results import Classification, ModelFacts
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
    """All that the page prints. `version` counts the reports of one scan, the newest last."""

    scan: ScanView
    patient: PatientView | None
    notes: str | None
    pictures: ReportPictures
    software_version: str
    made_at: datetime
    version: int = Field(default=1, ge=1)
    page_size: PageSize = PageSize.A4


class SummaryItem(Contract):
    """One file of a batch: the scan that it became, or the problem with it.

    `file` is the name as the sender gave it, `thumbnail` a small WebP or PNG picture.
    """

    position: int = Field(ge=0)
    file: str
    scan_id: str | None
    state: ItemState
    classification: Classification | None
    input_accepted: bool | None
    review: TumorClass | None = Field(description="The class that the newest review names")
    problem: Problem | None
    thumbnail: Base64Bytes | None = None


class SummaryRequest(Contract):
    """A batch as it was at `made_at`; `models` are all that its scans were classified with."""

    batch_id: str
    created_at: datetime
    patient: PatientView | None
    items: list[SummaryItem] = Field(max_length=BATCH_FILES_MAX)
    models: list[ModelFacts]
    software_version: str
    made_at: datetime
    page_size: PageSize = PageSize.A4
