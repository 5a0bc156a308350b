"""Further work on a scan: explanations and analyses beside its own, and stages that failed."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from neuroscan import NOTICE
from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import CamMethod, StageName, WorkState
from neuroscan.contracts.problems import Problem
from neuroscan.contracts.results import Classification, InputCheck, ModelFacts
from neuroscan.contracts.scan import ExplanationView, StageView
from neuroscan.contracts.spatial import SpatialParameters

_BLOCK = r"layer[1-4]\[-?[0-9]{1,2}\]"

LayerName = Annotated[
    str,
    StringConstraints(pattern=rf"^{_BLOCK}(\+{_BLOCK}){{0,3}}$"),
    Field(
        description="A block of the network, or up to four joined by `+`",
        examples=["layer3[-1]", "layer2[-1]+layer3[-1]"],
    ),
]


class ExplanationRequest(Contract):
    """How a scan should be explained once more. Without `layer` the model's own is taken."""

    method: CamMethod
    layer: LayerName | None = None


class FurtherExplanation(Contract):
    """An explanation as it is now: the scan's own, one that was asked for, or an analysis's.

    `method` and `layer` are those that were asked for until it is done, then those it was made
    with. `explanation` is there once it is done, `problem` when it failed.
    """

    id: str
    scan_id: str
    state: WorkState
    method: CamMethod | None
    layer: str | None
    created_at: datetime
    explanation: ExplanationView | None
    problem: Problem | None
    notice: str = NOTICE
    links: dict[str, str]


class ExplanationPage(Contract):
    """One page of a scan's explanations: its own first, then further ones, newest first."""

    items: list[FurtherExplanation]
    next_cursor: str | None


class AnalysisView(Contract):
    """A further analysis of a scan by the model that ran when it was asked for, as it is now."""

    id: str
    scan_id: str
    state: WorkState
    created_at: datetime
    input_check: InputCheck | None = None
    classification: Classification | None = None
    explanation: ExplanationView | None = None
    spatial: SpatialParameters | None = None
    model: ModelFacts | None = None
    stages: list[StageView]
    notice: str = NOTICE
    links: dict[str, str]


class AnalysisPage(Contract):
    """One page of a scan's further analyses, newest first."""

    items: list[AnalysisView]
    next_cursor: str | None


class DeadStage(Contract):
    """A stage that failed for good.

    `track` is null for one of the scan's own four, else the explanation's or analysis's id, or the
    scan's own id for a report that is made anew.
    """

    scan_id: str
    track: str | None
    name: StageName
    attempt: int
    started_at: datetime | None
    finished_at: datetime
    problem: Problem | None


class DeadStagePage(Contract):
    """One page of stages that failed for good, the latest first."""

    items: list[DeadStage]
    next_cursor: str | None
