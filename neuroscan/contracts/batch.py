"""The public batch: many slices sent together, each a scan of its own."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from neuroscan import NOTICE
from neuroscan.contracts.base import Contract
from neuroscan.contracts.enums import ScanState, TumorClass
from neuroscan.contracts.problems import Problem
from neuroscan.contracts.results import Fraction, PossibleClasses

BATCH_FILES_MAX = 500
BATCH_BYTES_MAX = 2 * 1024**3

# A file that could not become a scan.
REFUSED: Literal["refused"] = "refused"
ItemState = ScanState | Literal["refused"]


class ByState(Contract):
    """How many items are in each state; `refused` are files that could not become a scan."""

    received: int = 0
    classified: int = 0
    explained: int = 0
    measured: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    refused: int = 0


class BatchItemView(Contract):
    """One file: the scan that it became, or the problem with it.

    `file` is the name as the sender gave it. `label` and `confidence` say nothing of a picture
    whose `input_accepted` is false. `prediction_set` is null until there is a class.
    """

    position: int
    file: str
    scan_id: str | None
    state: ItemState
    label: TumorClass | None
    confidence: Fraction | None
    prediction_set: PossibleClasses | None = None
    input_accepted: bool | None = Field(
        description="False: the input check turned the picture away"
    )
    problem: Problem | None


class BatchSummary(Contract):
    """A batch without its items. `done`: nothing that has arrived so far still runs."""

    id: str
    created_at: datetime
    patient_id: str | None
    total: int
    by_state: ByState
    done: bool
    links: dict[str, str]


class BatchView(BatchSummary):
    """A batch as it is now, its items in the order in which they came."""

    items: list[BatchItemView]
    notice: str = NOTICE


class BatchPage(Contract):
    """One page of batches, newest first."""

    items: list[BatchSummary]
    next_cursor: str | None
