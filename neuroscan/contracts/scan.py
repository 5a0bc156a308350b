"""The public scan (docs/api.md, "The scan")."""

from datetime import datetime

from pydantic import Field

from neuroscan import NOTICE
from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import ImageFormat, ScanState, StageName, StageState, TumorClass
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.problems import Problem
from neuroscan.contracts.results import Classification, ExplanationFacts, InputCheck, ModelFacts
from neuroscan.contracts.spatial import SpatialParameters


class ImageFacts(Contract):
    """The picture as it was sent; `sha256` is over the bytes as sent."""

    format: ImageFormat
    width: int
    height: int
    sha256: str
    geometry: Geometry


class ExplanationImages(Contract):
    """Paths of the pictures, relative to the server."""

    heatmap: str
    overlay: str


class ExplanationView(ExplanationFacts):
    """An explanation with links to its pictures."""

    images: ExplanationImages


class ReportView(Contract):
    """The PDF, once there is one."""

    href: str
    sha256: str
    version: int


class StageView(Contract):
    """One of the four stages."""

    name: StageName
    state: StageState
    attempt: int
    started_at: datetime | None
    finished_at: datetime | None
    problem: Problem | None


class ReviewView(Contract):
    """A reader's verdict: the newest counts. `principal` is who gave it, as a key's id."""

    label: TumorClass
    agrees: bool
    comment: str
    principal: str
    at: datetime


class ScanView(Contract):
    """A scan as it is now."""

    id: str
    version: int
    state: ScanState
    reference: str | None
    patient_id: str | None
    batch_id: str | None = None
    duplicate_of: str | None = Field(
        default=None, description="The patient's first scan of the very same picture"
    )
    created_at: datetime
    updated_at: datetime
    acquired_at: datetime | None
    image: ImageFacts
    input_check: InputCheck | None = None
    classification: Classification | None = None
    explanation: ExplanationView | None = None
    spatial: SpatialParameters | None = None
    report: ReportView | None = None
    review: ReviewView | None = None
    stages: list[StageView]
    model: ModelFacts | None = None
    notice: str = NOTICE
    links: dict[str, str] = Field(default_factory=dict)

    @property
    def turned_away(self) -> bool:
        """Whether the input check turned the picture away: then its class says nothing."""
        return self.input_check is not None and not self.input_check.accepted


class ScanPage(Contract):
    """One page of scans, newest first."""

    items: list[ScanView]
    next_cursor: str | None
