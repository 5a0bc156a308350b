"""What goes through the broker: keys and numbers, never a name."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import CamMethod, RegionSource, StageName, TumorClass
from neuroscan.contracts.geometry import Geometry
from neuroscan.contracts.problems import Problem
from neuroscan.contracts.results import ExplainResult
from neuroscan.contracts.spatial import MeasureResult


class StageTask(Contract):
    """What every stage message carries.

    `request_id` ties the log lines of one upload together. `prefix` ends in the attempt's number;
    a worker appends a run of its own, so that a message delivered twice never overwrites. `track`
    is empty for the scan's own stages, else the id of the further work on it.
    """

    scan_id: str
    track: str = ""
    attempt: int = Field(ge=1)
    input_digest: str
    request_id: str
    prefix: str


class ExplainTask(StageTask):
    """Explain why `label` was given; method and layer default to the bundle's."""

    stage: Literal[StageName.EXPLAIN] = StageName.EXPLAIN
    slice_key: str
    label: TumorClass
    method: CamMethod | None = None
    layer: str | None = None


class MeasureTask(StageTask):
    """Derive the ten parameters from the slice and the region's mask.

    `prediction_set` is empty where the sender does not know it.
    """

    stage: Literal[StageName.MEASURE] = StageName.MEASURE
    slice_key: str
    mask_key: str | None
    region_source: RegionSource | None = None
    segmentation_dice: float | None = Field(default=None, ge=0, le=1)
    geometry: Geometry
    label: TumorClass
    confidence: float = Field(ge=0, le=1)
    calibrated: bool
    prediction_set: list[TumorClass] = Field(default_factory=list)
    input_accepted: bool


class RecorderTask(StageTask):
    """A stage that the recorder runs itself, by HTTP: `classify` or `report`."""

    stage: Literal[StageName.CLASSIFY, StageName.REPORT]


class Started(Contract):
    """A worker has begun; the recorder starts the lease."""

    scan_id: str
    track: str = ""
    stage: StageName
    attempt: int
    run: str
    at: datetime


class Finished(Contract):
    """A worker is done; everything it wrote lies under `prefix`."""

    scan_id: str
    track: str = ""
    stage: StageName
    attempt: int
    run: str
    input_digest: str
    code_version: str
    prefix: str
    result: Annotated[ExplainResult | MeasureResult, Field()]


class Failed(Contract):
    """A worker could not do it; `prefix` may hold half of its objects."""

    scan_id: str
    track: str = ""
    stage: StageName
    attempt: int
    run: str
    prefix: str
    problem: Problem
